#include "connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "waiting.h"

namespace evmemcached {
namespace {

constexpr std::size_t kChunkBytes = 16 * 1024;

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Connection::~Connection() {
  coev->forget_fd(fd_);
  ::close(fd_);
}

Moved Connection::fail(int error) noexcept {
  error_ = error;
  return Moved::kFailed;
}

Moved Connection::send_from(Buffer& bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t count =
        ::send(fd_, bytes.view().data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.consume(static_cast<std::size_t>(count));
    } else if (would_block(errno)) {
      return Moved::kWouldBlock;
    } else if (errno != EINTR) {
      return fail(errno);
    }
  }
  bytes.clear();
  return Moved::kAll;
}

// Memory follows what has come, not what the peer has announced.
Moved Connection::receive_to(Buffer& bytes) noexcept {
  if (!bytes.reserve(std::max(kChunkBytes, bytes.size()))) return fail(ENOMEM);
  for (;;) {
    const ssize_t count = ::recv(fd_, bytes.tail(), bytes.room(), MSG_DONTWAIT);
    if (count > 0) {
      bytes.grow(static_cast<std::size_t>(count));
      return Moved::kSome;
    }
    if (count == 0) return Moved::kEnd;
    if (would_block(errno)) return Moved::kWouldBlock;
    if (errno != EINTR) return fail(errno);
  }
}

Moved Connection::send() noexcept {
  if (!tls_) return send_from(output);
  if (!output.empty() && !encrypt()) return Moved::kException;
  return send_from(unsent_);
}

Moved Connection::receive() noexcept {
  if (!tls_) return receive_to(input);
  const Moved moved = receive_to(received_);
  return moved == Moved::kSome ? decrypt() : moved;
}

// Puts all of `output` through TLS, which takes everything.
bool Connection::encrypt() noexcept {
  const std::string_view plain = output.view();
  const Ref sealed = Ref::steal(PyObject_CallMethod(tls_.get(), "encrypt", "y#", plain.data(),
                                                    static_cast<Py_ssize_t>(plain.size())));
  if (!sealed) return false;
  output.clear();
  unsent_.append(
      {PyBytes_AS_STRING(sealed.get()), static_cast<std::size_t>(Py_SIZE(sealed.get()))});
  if (unsent_.failed()) PyErr_NoMemory();
  return !unsent_.failed();
}

// Moves what `received_` holds through TLS into `input`.
Moved Connection::decrypt() noexcept {
  const std::string_view sealed = received_.view();
  const Ref plain = Ref::steal(PyObject_CallMethod(tls_.get(), "decrypt", "y#", sealed.data(),
                                                   static_cast<Py_ssize_t>(sealed.size())));
  received_.clear();
  if (!plain) return Moved::kException;
  if (plain.get() == Py_None) return Moved::kEnd;
  input.append({PyBytes_AS_STRING(plain.get()), static_cast<std::size_t>(Py_SIZE(plain.get()))});
  if (input.failed()) return fail(ENOMEM);
  return Py_SIZE(plain.get()) > 0 ? Moved::kSome : Moved::kWouldBlock;
}

}  // namespace evmemcached
