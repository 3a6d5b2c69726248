// A connection: its socket, what was received and not read, and what it keeps between
// requests. One coroutine owns it; others only look at `idle` and mark the socket.
#pragma once

#include <memory>
#include <string>

#include "buffer.h"
#include "clock.h"
#include "ref.h"

namespace coewsgi {

class Server;
struct Listener;
struct Input;
struct StartResponse;
struct ConnectionHandle;

// The last head's fields and the environ made of them: the next request usually brings
// the same bytes again.
struct FieldMemo {
  static constexpr std::size_t kMostBytes = 4096;
  static constexpr unsigned kMostMisses = 3;  // in a row: then this client is not one of those

  std::string fields;
  Ref environ;
  unsigned misses = 0;

  void drop() noexcept {
    std::string().swap(fields);
    environ.reset();
  }
};

// Whether a connection waits for the first byte of a request, and of which one.
enum class Idle : std::uint8_t { kNo, kFirst, kBetween };

struct Connection {
  Connection(Server& of, Listener& from, int descriptor) noexcept
      : server(of), listener(from), fd(descriptor) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Whatever the request kept for the next one is given back, for a long wait.
  void release_kept() noexcept;

  Server& server;      // kept alive by a reference that the connection holds
  Listener& listener;  // not owned; lives as long as the server
  int fd;              // owned; -1 once it was handed over
  Idle idle = Idle::kNo;
  bool counted = false;     // in the server's count of its address
  bool drained = true;      // the last read emptied the socket: wait before the next
  bool lost = false;        // nothing more can be sent
  bool trusted = false;     // may say who its client is
  bool taken_over = false;  // an application speaks another protocol on it
  bool in_application = false;
  unsigned users = 0;    // calls of the application that are receiving or sending right now
  Buffer* in = nullptr;  // from the server's pool

  [[nodiscard]] const std::string& peer_address() const noexcept {
    return proxied_from.empty() ? address : proxied_from;
  }

  std::string address;       // of the client; empty: a unix socket
  std::string proxied_from;  // of the proxy, where a PROXY header told the client's
  int port = 0;
  Ref address_object;
  Ref port_object;
  Ref tls;        // the ssl.SSLSocket that owns fd, if there is one
  Ref extra;      // a dict that tls_environ gave
  Ref coroutine;  // this connection's

  FieldMemo memo;
  // Reused while nobody else has a reference on them.
  StartResponse* start_response = nullptr;
  Input* input = nullptr;
  // Bound methods of one ConnectionHandle; they alone keep it alive.
  Ref early_hints;
  Ref client_disconnected;
  ConnectionHandle* handle = nullptr;

  Connection* next = nullptr;  // in the server's list of all
  Connection* previous = nullptr;
  Connection* next_in_flight = nullptr;  // in the list of requests, oldest first
  Connection* previous_in_flight = nullptr;
  Nanoseconds request_began = 0;
  Nanoseconds request_deadline = kNever;
};

// A call that receives or sends for the application. Threads of the application may do so when the
// request ends: the connection waits for them then.
class ConnectionUse {
 public:
  explicit ConnectionUse(Connection& connection) noexcept : connection_(connection) {
    ++connection_.users;
  }
  ~ConnectionUse() { --connection_.users; }
  ConnectionUse(const ConnectionUse&) = delete;
  ConnectionUse& operator=(const ConnectionUse&) = delete;

 private:
  Connection& connection_;
};

}  // namespace coewsgi
