// A connection to a server: an fd, what is to be sent and what was received.
//
// Nothing here waits: send() and receive() move what the kernel takes or has, and
// say what to wait for. The fd is closed with the object.
//
// THREAD: whoever holds the GIL and has leased the connection.
#pragma once

#include <cstdint>

#include "buffer.h"
#include "ref.h"

namespace evmemcached {

enum class Moved : std::uint8_t {
  kSome,        // receive(): bytes came
  kAll,         // send(): nothing is left to send
  kWouldBlock,  // wait until the fd is ready
  kEnd,         // receive(): the peer will send no more
  kFailed,      // error() says why
  kException,   // a Python exception is set
};

class Connection {
 public:
  // `tls` is empty, or an object with two methods: encrypt(bytes) -> bytes, and
  // decrypt(bytes) -> bytes, or None where the peer has ended the session.
  Connection(int fd, Ref tls) noexcept : fd_(fd), tls_(std::move(tls)) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends what is in `output`.
  Moved send() noexcept;
  // Adds to `input` what has come.
  Moved receive() noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] int error() const noexcept { return error_; }
  [[nodiscard]] bool all_sent() const noexcept { return output.empty() && unsent_.empty(); }

  Buffer output;
  Buffer input;
  std::uint32_t owed = 0;       // replies that nobody waits for come before the next one
  bool proven = false;          // an exchange has succeeded
  std::int64_t idle_ns = 0;     // since when it has been idle
  Connection* newer = nullptr;  // neighbours among the idle ones of a pool
  Connection* older = nullptr;

 private:
  Moved send_from(Buffer& bytes) noexcept;
  Moved receive_to(Buffer& bytes) noexcept;
  Moved fail(int error) noexcept;
  bool encrypt() noexcept;
  Moved decrypt() noexcept;

  int fd_;
  int error_ = 0;
  Ref tls_;
  Buffer unsent_;    // encrypted
  Buffer received_;  // encrypted
};

}  // namespace evmemcached
