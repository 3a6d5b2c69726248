// Exchanges: a request goes out, its replies come in, on one connection or on
// several at once.
//
// Whatever goes wrong in an exchange closes its connection: nobody else will ever
// read what was meant for this one. Only a connection whose replies have all been
// read, and which says nothing more, goes back to its pool.
//
// Python code never runs while a connection is leased: what a request needs is
// encoded before, what came is decoded after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pool.h"
#include "protocol.h"

namespace evmemcached {

enum class Took : std::uint8_t {
  kMore,     // more of this request's replies are to come
  kDone,     // this was the last one
  kNeeds,    // not all bytes of a reply are there
  kUnknown,  // no such reply belongs to the request: the connection is of no use any more
  kRefused,  // the server says that it cannot: the same
  kNoMemory,
};

// A request and what becomes of its replies.
class Conversation {
 public:
  Conversation() = default;
  virtual ~Conversation() = default;
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // Appends the request. May be asked again, with a new connection; what was taken
  // before is then void.
  virtual void write(Buffer& output) noexcept = 0;
  virtual Took take_reply(const Reply& reply) noexcept = 0;
  // Takes what `bytes` begin with; `*used` gets its length.
  virtual Took take(std::string_view bytes, std::size_t* used) noexcept;
  // To send it twice does what sending it once does.
  [[nodiscard]] virtual bool is_repeatable() const noexcept { return false; }
  // Replies that nobody waits for: the next exchange on the connection reads them.
  [[nodiscard]] virtual std::uint32_t owes() const noexcept { return 0; }
};

enum class Fault : std::uint8_t {
  kNone,
  kNoServer,  // could not connect; `exception` says why
  kPoolFull,
  kTimedOut,
  kClosed,  // by the server
  kSystem,  // `error` says why
  kUnknownReply,
  kRefused,
  kNoMemory,
};

// One conversation with one server.
struct Exchange {
  Pool* pool = nullptr;                  // not owned
  Conversation* conversation = nullptr;  // not owned
  Lease lease;
  Fault fault = Fault::kNone;
  int error = 0;  // errno
  Ref reason;     // an exception, or the text of the server's reply as bytes
  bool finished = false;
  bool answered = false;  // some byte of the reply has come
  bool repeated = false;
  bool was_idle = false;  // the connection had been used before
};

// Has every exchange finish, well or with its fault. The requests go out at once and
// all replies are read as they come. REQUIRES: the pools are in the order of their
// addresses, each once, so that those who need several do not wait for one another.
// SWITCHES: always. ERRORS: false with an exception set (a kill, a timeout scope); then
// every connection is closed.
[[nodiscard]] bool converse(Exchange* exchanges, std::size_t count, double seconds) noexcept;

// A new exception for what went wrong; nullptr with another exception set.
PyObject* fault_exception(const Exchange& exchange, PyObject* server_name) noexcept;

}  // namespace evmemcached
