// The stream of a replication connection (PostgreSQL, "Streaming Replication Protocol"): its
// messages, and the reports to the server of what was written.
//
// Between two messages the connection is within a COPY: no statement can run on it.
#pragma once

#include <cstdint>

#include "cursor.h"
#include "libpq.h"

namespace psycoev::commands {

// Positions in the log, and when the two ends last heard of each other.
struct ReplicationState {
  bool is_streaming = false;
  std::uint64_t written = 0;
  std::uint64_t flushed = 0;
  std::uint64_t applied = 0;
  std::uint64_t end = 0;                 // of the server's log, as it last said
  std::uint64_t last_message = 0;        // where the last message with data began
  std::uint64_t flushed_by_program = 0;  // the last position that send_feedback() gave
  double status_interval = 10;           // seconds between two reports
  double last_heard = 0;                 // seconds since 1970
  double last_reported = 0;
};

// One message with data.
struct ReplicationData {
  LibpqText memory;
  const char* payload;  // within memory
  int size;
  std::uint64_t start;
  std::uint64_t end;
  std::int64_t sent_us;  // microseconds since 2000
};

enum class ReadAnswer { kMessage, kNothing, kEnded, kError };

// The next message that is there; keep-alives are answered and skipped. kError: an exception is
// set. REQUIRES: the turn. SWITCHES: only if a report does not fit into the socket's buffer.
[[nodiscard]] ReadAnswer read_message(CursorObject* cursor, ReplicationState* state,
                                      ReplicationData* data);

// Waits for more, at most until the next report is due, which is then sent. An interrupt leaves
// the stream as it was. REQUIRES: the turn. SWITCHES: always.
[[nodiscard]] bool wait_for_message(CursorObject* cursor, ReplicationState* state);

// Sends the positions now. REQUIRES: the turn.
[[nodiscard]] bool report(CursorObject* cursor, ReplicationState* state, bool asks_for_reply);

// report(), if the interval has passed since the last one.
[[nodiscard]] bool report_if_due(CursorObject* cursor, ReplicationState* state);

}  // namespace psycoev::commands
