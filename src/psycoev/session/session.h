// A connection to a server as libpq's: who uses it, how it waits, what it sends and receives.
// It knows nothing of cursors, values or exception classes, and alone calls PQsend*,
// PQconsumeInput and PQgetResult.
//
// One coroutine at a time has it, from enter() to leave(); others wait for their turn. Every
// method but close(), cancel() and the plain questions is called between the two.
//
// Invariant: between leave() and enter() the protocol is in step: no query runs and nothing of
// an answer is unread. What is interrupted is cancelled and drained, or the connection is closed.
//
// After each wait pg() may be null, because close() does not wait for its turn.
#pragma once

#include <cstdint>

#include "libpq.h"
#include "session/api.h"

namespace psycoev::session {

enum class Outcome {
  kDone,
  kTimedOut,     // the deadline passed
  kInterrupted,  // an exception is set: a kill, a timeout scope, a signal handler
  kFailed,       // libpq failed: PQerrorMessage() says why, or failure() if pg() is null
  kClosed,       // another coroutine has closed the connection
};

enum class Entry {
  kEntered,
  kNested,  // this coroutine has it already: waiting for it would never end
  kForked,  // the connection is the parent process's
  kClosed,
  kTimedOut,
  kInterrupted,
};

// A message of the server that no result carries, in the order of their arrival.
struct Notice {
  Notice* next;
  char text[1];  // as long as the text needs
};

// What the extended protocol takes beside the statement (libpq, PQexecParams()).
struct Parameters {
  int count = 0;
  const Oid* types = nullptr;
  const char* const* values = nullptr;
  const int* sizes = nullptr;
  const int* formats = nullptr;
  int result_format = 0;  // 1: binary
};

class Session {
 public:
  // Writes its PGconn and how it was closed to where others look for them; both outlive it.
  Session(PGconn** pg, long* closed) noexcept;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  // SWITCHES: never. Nobody has entered it. It closes without a word in a child of fork.
  ~Session();

  // False with MemoryError set.
  [[nodiscard]] bool prepare();
  // OWNS: pg, which is connected (or connecting, for an asynchronous connection).
  void attach(PGconn* pg) noexcept;

  // After libpq has connected: its socket may be another one than at attach().
  void update_socket() noexcept { fd_ = PQsocket(*pg_); }

  [[nodiscard]] PGconn* pg() const noexcept { return *pg_; }
  [[nodiscard]] bool is_forked() const noexcept { return generation_ != coev->fork_generation(); }
  [[nodiscard]] bool is_entered_by_current() const noexcept {
    return owner_ != 0 && owner_ == coev->current_id();
  }
  // The server's answer to "is a transaction open"; PQTRANS_UNKNOWN when closed.
  [[nodiscard]] PGTransactionStatusType transaction_status() const noexcept {
    return pg() == nullptr ? PQTRANS_UNKNOWN : PQtransactionStatus(pg());
  }
  // The last message of a connection that broke.
  [[nodiscard]] const char* failure() const noexcept { return failure_; }

  // SWITCHES: only if another coroutine has the connection.
  [[nodiscard]] Entry enter(std::int64_t deadline);
  void leave() noexcept;

  // Whether others wait for their turn.
  [[nodiscard]] bool is_wanted() const noexcept { return waiting_ > 0; }

  // Ends whatever runs, of whomever; the others get Outcome::kClosed. SWITCHES: never.
  void close(long closed) noexcept;

  // Sends the statements, reads all results, gives the last one or the first error. A result of
  // COPY ends the reading. An interrupted or late query is recovered from.
  // With `affected` it becomes the sum of the rows of each statement, -1 where one says none.
  // SWITCHES: always.
  [[nodiscard]] Outcome query(const char* sql, std::int64_t deadline, ResultPtr* result,
                              long long* affected = nullptr);

  // query() of one statement by the extended protocol.
  [[nodiscard]] Outcome query_with(const char* sql, const Parameters& parameters,
                                   std::int64_t deadline, ResultPtr* result);
  // query() of what a PQsend* has accepted, or has not.
  [[nodiscard]] Outcome exchange(int accepted, std::int64_t deadline, ResultPtr* result,
                                 long long* affected = nullptr);

  // For the program's own loop: sends without waiting, and takes what PQisBusy() says is there.
  [[nodiscard]] Outcome send_query(const char* sql) noexcept {
    return send(PQsendQuery(*pg_, sql));
  }
  // Sends a query whose rows come as a result each.
  [[nodiscard]] Outcome send_single_rows(const char* sql) noexcept {
    return send(PQsendQuery(*pg_, sql) != 0 && PQsetSingleRowMode(*pg_) != 0);
  }
  [[nodiscard]] PGresult* take_ready_result() noexcept { return PQgetResult(*pg_); }

  // The parts of query(), for whoever has other things to send. `send` reports a failed PQsend*.
  [[nodiscard]] Outcome send(int accepted) noexcept;
  [[nodiscard]] Outcome flush(std::int64_t deadline);
  [[nodiscard]] Outcome next_result(std::int64_t deadline, ResultPtr* result);
  [[nodiscard]] Outcome collect(std::int64_t deadline, ResultPtr* result,
                                long long* affected = nullptr);
  // Waits until PQgetCopyData() or PQputCopyData() may be tried again, and reads what came.
  [[nodiscard]] Outcome wait_and_read(int events, std::int64_t deadline);
  // Every outcome but kDone goes through this once, on the way out: recovers or closes.
  Outcome conclude(Outcome outcome) noexcept;
  // Cancels and drains within grace(), else closes. Keeps the exception that is set.
  void recover() noexcept;

  // Events of COEV_*. above 0; 0 the deadline passed; below 0 an Outcome was stored.
  [[nodiscard]] Outcome wait(int events, std::int64_t deadline, int* seen);

  // Pipeline mode (libpq, "Pipeline Mode"): statements go out while answers are still to come.
  [[nodiscard]] Outcome enter_pipeline() noexcept { return send(PQenterPipelineMode(*pg_)); }
  [[nodiscard]] Outcome exit_pipeline() noexcept { return send(PQexitPipelineMode(*pg_)); }
  [[nodiscard]] Outcome send_in_pipeline(const char* sql) noexcept {
    return send(PQsendQueryParams(*pg_, sql, 0, nullptr, nullptr, nullptr, nullptr, 0));
  }
  // Asks the server for the answers so far; a synchronization also ends an error's silence.
  [[nodiscard]] Outcome request_answers() noexcept { return send(PQsendFlushRequest(*pg_)); }
  [[nodiscard]] Outcome synchronize() noexcept { return send(PQpipelineSync(*pg_)); }

  // Waits for what the server sends by itself, and reads it. kDone also when another coroutine
  // wants the connection: the caller leaves, and enters again behind it.
  // REQUIRES: the turn, and that no query runs. SWITCHES: always.
  [[nodiscard]] Outcome listen(std::int64_t deadline);

  // Asks the server to end the running query; needs no turn. An error's text in `error`
  // (of 256 bytes), empty for an exception that is set.
  // SWITCHES: always.
  [[nodiscard]] Outcome cancel(std::int64_t deadline, char* error);

  // Reads what has come, without waiting: notifications and notices. False: libpq failed.
  [[nodiscard]] bool read_available() noexcept;

  // The oldest unread notice, to be freed with free(); null: none.
  [[nodiscard]] Notice* take_notice() noexcept;
  [[nodiscard]] bool has_notices() const noexcept { return first_notice_ != nullptr; }
  void drop_notices() noexcept;

  [[nodiscard]] double grace() const noexcept { return grace_; }
  void set_grace(double seconds) noexcept { grace_ = seconds; }

 private:
  static void receive_notice(void* session, const PGresult* result) noexcept;
  [[nodiscard]] bool drain(std::int64_t deadline) noexcept;
  [[nodiscard]] bool drain_pipeline(std::int64_t deadline) noexcept;
  [[nodiscard]] bool drain_copy_out(std::int64_t deadline) noexcept;
  [[nodiscard]] bool end_copy_in(std::int64_t deadline) noexcept;
  void remember_failure() noexcept;

  PGconn** pg_;
  long* closed_;
  coev_lock* lock_ = nullptr;
  std::uint64_t owner_ = 0;
  int waiting_ = 0;               // coroutines within enter()
  PyObject* listener_ = nullptr;  // the coroutine within listen(); it is woken by who enters
  std::uint32_t generation_;
  int fd_ = -1;
  double grace_ = 1.0;
  Notice* first_notice_ = nullptr;
  Notice** last_notice_ = &first_notice_;
  char failure_[512] = "";
};

}  // namespace psycoev::session
