// A server: its connections, listeners and what they share, from start() to the last end.
//
// THREAD: one OS thread, that of the first start().
// Ownership: the Python object holds the Server; each connection and each accept loop holds
// a reference on that object, for they may outlive whoever made it.
//
// Invariants: a connection is in `connections_` from its accept to its release;
// active_ = connections + running accept loops; finished_ is held while active_ > 0.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connection.h"
#include "counters.h"
#include "listener.h"
#include "settings.h"

struct coev_lock;

namespace coewsgi {

class Server {
 public:
  explicit Server(PyObject* object) noexcept : object_(object) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // false: an exception is set.
  bool prepare(PyObject* args, PyObject* kwargs) noexcept;

  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
  [[nodiscard]] Settings& settings() noexcept { return settings_; }
  [[nodiscard]] Counters& counters() noexcept { return counters_; }
  [[nodiscard]] LatencyHistogram& latency() noexcept { return latency_; }
  [[nodiscard]] BufferPool& buffers() noexcept { return buffers_; }
  [[nodiscard]] PyObject* object() const noexcept { return object_; }
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  [[nodiscard]] bool is_full() const noexcept { return connection_count_ >= settings_.connections; }
  [[nodiscard]] bool is_over_buffered() const noexcept {
    return buffers_.lent_bytes() > settings_.buffered_bytes;
  }
  // So many connections that an idle one keeps nothing.
  [[nodiscard]] bool is_crowded() const noexcept { return connection_count_ > kCrowd; }
  [[nodiscard]] std::size_t connection_count() const noexcept { return connection_count_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
  [[nodiscard]] std::size_t idle_count() const noexcept;

  // --- listeners -----------------------------------------------------------------------
  // Starts the accept loop; takes the listener over. false: an exception is set.
  bool start(std::unique_ptr<Listener> listener) noexcept;
  int traverse(visitproc visit, void* arg) noexcept;
  void clear() noexcept;

  // --- connections ---------------------------------------------------------------------
  // Serves the accepted socket in a new coroutine; owns it from here on.
  void adopt(Listener& listener, int fd, std::string address, int port) noexcept;
  void remove(Connection* connection) noexcept;
  // REQUIRES: an accept loop or a connection calls begin() when it begins, end() at its end.
  void begin() noexcept;
  void end() noexcept;

  // --- requests ------------------------------------------------------------------------
  [[nodiscard]] RequestHead* take_head() noexcept;
  void give_head(RequestHead* head) noexcept { heads_.emplace_back(head); }
  // From the end of the head to the end of the response. May run a hook.
  void enter_request(Connection& connection, Nanoseconds now) noexcept;
  void leave_request(Connection& connection) noexcept;

  // --- the end -------------------------------------------------------------------------
  // false: an exception is set. SWITCHES: never.
  bool drain(Nanoseconds deadline) noexcept;
  // 1: ended; 0: timed out; -1: an exception is set. SWITCHES: only if it has not ended.
  int join(double timeout) noexcept;

 private:
  static constexpr std::size_t kCrowd = 1000;

  static int watch_requests(void* server) noexcept;
  static int watch_drain(void* server) noexcept;
  static void release_watch(void* server) noexcept;
  bool spawn_watch(int (*watch)(void*), Ref* coroutine) noexcept;
  void time_out_requests() noexcept;
  void end_idle(bool first_ones_too) noexcept;
  void kill_connections() noexcept;
  void link_in_flight(Connection& connection) noexcept;
  void unlink_in_flight(Connection& connection) noexcept;

  PyObject* object_;  // not owned: it owns this
  Settings settings_;
  Counters counters_;
  LatencyHistogram latency_;
  BufferPool buffers_;
  std::vector<std::unique_ptr<RequestHead>> heads_;
  std::vector<std::unique_ptr<Listener>> listeners_;

  Connection* connections_ = nullptr;
  std::size_t connection_count_ = 0;
  std::unordered_map<std::string, std::size_t> per_address_;
  Connection* oldest_in_flight_ = nullptr;
  Connection* newest_in_flight_ = nullptr;
  std::size_t in_flight_ = 0;

  bool draining_ = false;
  bool told_max_requests_ = false;
  Nanoseconds drain_deadline_ = kNever;
  std::size_t active_ = 0;
  coev_lock* finished_ = nullptr;
  Ref drain_watch_;    // the coroutine, while it runs
  Ref request_watch_;  // the coroutine, while it runs
};

}  // namespace coewsgi
