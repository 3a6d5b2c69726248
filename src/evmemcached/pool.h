// The pool: all connections to one server, shared by coroutines and OS threads.
//
// A borrower has a Lease, which gives the connection back, or closes it, or lets
// the next one connect, however the borrower ends. Who finds every connection in
// use queues up and is handed one in turn.
//
// Invariants, at each switch:
//     open_ = idle connections + leases that hold a place; never above most_
//     somebody queues up  =>  no connection is idle, and open_ == most_
// A place is never lost: it goes to the longest waiter or makes open_ smaller.
//
// After fork the child forgets every connection: its first use of the pool closes
// the copies of the fds, and leases from before the fork only close theirs.
//
// THREAD: whoever holds the GIL.
#pragma once

#include <cstddef>
#include <cstdint>

#include "connection.h"
#include "waiting.h"

namespace evmemcached {

struct PoolLimits {
  std::size_t most = 32;     // connections
  double wait_seconds = -1;  // for a connection; negative: as long as the operation may take
  std::int64_t idle_ns = 0;  // how long a connection may be idle; 0: without limit
};

enum class Leased : std::uint8_t {
  kYes,
  kTimedOut,   // no connection was given back in time
  kNoServer,   // connecting failed; MemcacheConnectionError is set
  kException,  // another exception is set
};

class Pool;

// A place in a pool, and the connection in that place.
class Lease {
 public:
  Lease() = default;
  ~Lease() { drop(); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  [[nodiscard]] Connection* connection() const noexcept { return connection_; }
  explicit operator bool() const noexcept { return connection_ != nullptr; }
  // The exchange is over and the connection says nothing more: the next may have it.
  void give_back(std::int64_t now) noexcept;
  // Closes the connection.
  void drop() noexcept;

 private:
  friend class Pool;
  Pool* pool_ = nullptr;  // not owned: its Python object is kept by whoever leases
  Connection* connection_ = nullptr;
  std::uint32_t generation_ = 0;
};

class Pool {
 public:
  Pool(PyObject* connect, const PoolLimits& limits) noexcept;
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Takes an idle connection, or connects, or waits for one. `careful`: not one
  // that may be stale. REQUIRES: `lease` is empty.
  // SWITCHES: only if none is idle. ERRORS: see Leased.
  Leased lease(Lease* lease, Deadline deadline, std::int64_t now, bool careful) noexcept;

  // Puts a new connection where a stale one was. SWITCHES: always. ERRORS: see Leased.
  Leased renew(Lease* lease) noexcept;

  // Closes what is idle.
  void close_idle() noexcept;

  // --- the server's health, shared by all its clients
  [[nodiscard]] bool is_resting(std::int64_t now) const noexcept { return rest_until_ > now; }
  // Failed more often in a row than its clients allow, and not back yet.
  [[nodiscard]] bool is_dead(std::int64_t now) const noexcept { return dead_ && is_resting(now); }
  void note_failure(std::int64_t now, unsigned attempts, double retry_seconds,
                    double dead_seconds) noexcept;
  void note_success() noexcept {
    failures_ = 0;
    dead_ = false;
    rest_until_ = 0;
  }
  void rest(std::int64_t until) noexcept {
    rest_until_ = until;
    dead_ = true;
  }
  [[nodiscard]] std::int64_t rest_until() const noexcept { return rest_until_; }
  bool flush_when_back = false;  // a server that was away may hold old values

  struct Counters {
    std::uint64_t connects = 0, reuses = 0, waits = 0, drops = 0;
  };
  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::size_t open() const noexcept { return open_; }
  [[nodiscard]] std::size_t idle() const noexcept { return idle_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }
  [[nodiscard]] PyObject* connect() const noexcept { return connect_; }

 private:
  friend class Lease;
  struct Waiter;

  void forget_if_forked() noexcept;
  [[nodiscard]] Connection* take_idle(std::int64_t now, bool careful) noexcept;
  void push_idle(Connection& connection, std::int64_t now) noexcept;
  void unlink(Connection& connection) noexcept;
  void close(Connection& connection) noexcept;
  Leased fill_place(Lease* lease) noexcept;
  Leased wait_in_queue(Lease* lease, Deadline deadline) noexcept;
  [[nodiscard]] Waiter* next_waiter() noexcept;
  void remove(Waiter& waiter) noexcept;
  void free_place() noexcept;

  PyObject* connect_;  // owned; a callable that gives (fd, tls or None)
  PoolLimits limits_;
  std::size_t open_ = 0;
  std::size_t idle_ = 0;
  Connection* newest_ = nullptr;  // owned, as all that follow it
  Connection* oldest_ = nullptr;
  Waiter* first_ = nullptr;  // not owned: each is on its waiter's stack
  Waiter* last_ = nullptr;
  std::size_t waiting_ = 0;
  std::uint32_t generation_ = coev->fork_generation();
  std::int64_t rest_until_ = 0;
  unsigned failures_ = 0;
  bool dead_ = false;
  Counters counters_;
};

}  // namespace evmemcached
