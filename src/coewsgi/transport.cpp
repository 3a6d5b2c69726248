#include "transport.h"

#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "runtime.h"
#include "server.h"

namespace coewsgi {
namespace {

// What an exception that ended a wait means here. A request's timeout that comes when the
// application has returned is nothing; of TLS, a broken connection is a lost one.
Readiness judge_exception(const Connection& connection, bool* again) noexcept {
  *again = false;
  if (PyErr_ExceptionMatches(exceptions.request_timeout) != 0) {
    if (connection.in_application) return Readiness::kRaised;
    PyErr_Clear();
    *again = true;
    return Readiness::kReady;
  }
  const bool is_lost =
      PyErr_ExceptionMatches(PyExc_OSError) != 0 && PyErr_ExceptionMatches(PyExc_TimeoutError) == 0;
  if (!is_lost) return Readiness::kRaised;
  PyErr_Clear();
  return Readiness::kLost;
}

ssize_t from(Readiness readiness) noexcept {
  switch (readiness) {
    case Readiness::kTimedOut:
      return kReadTimedOut;
    case Readiness::kLost:
      return kReadLost;
    default:
      return kReadRaised;
  }
}

// --- TLS: the methods of ssl.SSLSocket, which wait in the scheduler --------------------------

bool set_timeout(const Connection& connection, Nanoseconds deadline) noexcept {
  const Nanoseconds left = deadline == kNever ? 0 : deadline - now_ns();
  const Ref timeout = deadline == kNever
                          ? Ref::borrow(Py_None)
                          : Ref::steal(PyFloat_FromDouble(std::max(left * 1e-9, 1e-3)));
  if (!timeout) return false;
  const Ref done = Ref::steal(
      PyObject_CallMethodOneArg(connection.tls.get(), strings.settimeout, timeout.get()));
  return static_cast<bool>(done);
}

// The exception of a TLS method as what receive() returns.
ssize_t judge_tls_exception(const Connection& connection, Nanoseconds deadline,
                            bool* again) noexcept {
  *again = false;
  if (PyErr_ExceptionMatches(PyExc_TimeoutError) != 0 &&
      PyErr_ExceptionMatches(exceptions.request_timeout) == 0) {
    if (deadline == kNever || now_ns() < deadline) return kReadRaised;  // the application's own
    PyErr_Clear();
    return kReadTimedOut;
  }
  return from(judge_exception(connection, again));
}

ssize_t receive_tls(Connection& connection, char* data, std::size_t size,
                    Nanoseconds deadline) noexcept {
  if (!set_timeout(connection, deadline)) return kReadRaised;
  const Ref view =
      Ref::steal(PyMemoryView_FromMemory(data, static_cast<Py_ssize_t>(size), PyBUF_WRITE));
  if (!view) return kReadRaised;
  for (;;) {
    const Ref got =
        Ref::steal(PyObject_CallMethodOneArg(connection.tls.get(), strings.recv_into, view.get()));
    if (got) return PyLong_AsSsize_t(got.get());
    bool again = false;
    const ssize_t reason = judge_tls_exception(connection, deadline, &again);
    if (!again) return reason;
  }
}

Sent send_tls_block(Connection& connection, const char* data, std::size_t size) noexcept {
  const Nanoseconds deadline = deadline_after(now_ns(), connection.server.settings().write);
  if (!set_timeout(connection, deadline)) return Sent::kRaised;
  const Ref bytes = Ref::steal(PyBytes_FromStringAndSize(data, static_cast<Py_ssize_t>(size)));
  if (!bytes) return Sent::kRaised;
  const Ref done =
      Ref::steal(PyObject_CallMethodOneArg(connection.tls.get(), strings.sendall, bytes.get()));
  if (done) return Sent::kAll;
  bool again = false;  // a write that was begun cannot be given up and tried again
  const ssize_t reason = judge_tls_exception(connection, deadline, &again);
  if (reason == kReadRaised) return Sent::kRaised;
  if (reason == kReadTimedOut) ++connection.server.counters().timeouts;
  connection.lost = true;
  return Sent::kLost;
}

// A record holds 16 KiB: small parts are put together, so that a head and a short body are one.
Sent send_tls(Connection& connection, const iovec* parts, int count) noexcept {
  constexpr std::size_t kBlock = 65536;
  std::string small;
  for (int i = 0; i < count; ++i) {
    const auto* data = static_cast<const char*>(parts[i].iov_base);
    std::size_t left = parts[i].iov_len;
    while (left > 0) {
      const std::size_t size = std::min(left, kBlock - small.size());
      small.append(data, size);
      data += size;
      left -= size;
      if (small.size() < kBlock) continue;
      const Sent sent = send_tls_block(connection, small.data(), small.size());
      if (sent != Sent::kAll) return sent;
      small.clear();
    }
  }
  return small.empty() ? Sent::kAll : send_tls_block(connection, small.data(), small.size());
}

// After a call that sent nothing. kAll: try again.
Sent after_failed_send(Connection& connection, int error, Nanoseconds deadline) noexcept {
  if (error == EINTR) return Sent::kAll;
  Readiness readiness = Readiness::kLost;
  if (error == EAGAIN) readiness = wait_for(connection, COEV_WRITABLE, deadline);
  if (readiness == Readiness::kReady) return Sent::kAll;
  if (readiness == Readiness::kRaised) return Sent::kRaised;
  if (readiness == Readiness::kTimedOut) ++connection.server.counters().timeouts;
  connection.lost = true;
  return Sent::kLost;
}

}  // namespace

bool has_pending(const Connection& connection) noexcept {
  if (!connection.tls) return false;
  const Ref count = Ref::steal(PyObject_CallMethodNoArgs(connection.tls.get(), strings.pending));
  if (!count) PyErr_Clear();
  return count && PyObject_IsTrue(count.get()) > 0;
}

Readiness wait_for(Connection& connection, int events, Nanoseconds deadline) noexcept {
  // A TLS socket owns its descriptor itself.
  const void* owner = connection.tls ? nullptr : &connection;
  for (;;) {
    const int seen = coev->wait_fd_until(connection.fd, events | COEV_CLOSED, deadline, owner);
    if (seen > 0) return (seen & COEV_CLOSED) != 0 ? Readiness::kLost : Readiness::kReady;
    if (seen == 0) return Readiness::kTimedOut;
    bool again = false;
    const Readiness readiness = judge_exception(connection, &again);
    if (!again) return readiness;
  }
}

ssize_t receive(Connection& connection, char* data, std::size_t size,
                Nanoseconds deadline) noexcept {
  ssize_t got = 0;
  if (connection.tls) {
    got = receive_tls(connection, data, size, deadline);
  } else {
    for (;;) {
      if (connection.drained) {
        const Readiness readiness = wait_for(connection, COEV_READABLE, deadline);
        if (readiness != Readiness::kReady) return from(readiness);
        connection.drained = false;
      }
      got = recv(connection.fd, data, size, MSG_DONTWAIT);
      if (got >= 0) {
        connection.drained = static_cast<std::size_t>(got) < size;
        break;
      }
      if (errno == EAGAIN) {
        connection.drained = true;
      } else if (errno != EINTR) {
        return kReadLost;
      }
    }
  }
  if (got > 0) connection.server.counters().received_bytes += static_cast<std::uint64_t>(got);
  return got;
}

Sent send_all(Connection& connection, iovec* parts, int count) noexcept {
  if (connection.lost) return Sent::kLost;
  if (connection.tls) {
    for (int i = 0; i < count; ++i) connection.server.counters().sent_bytes += parts[i].iov_len;
    return send_tls(connection, parts, count);
  }
  Nanoseconds deadline = 0;
  while (count > 0) {
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = static_cast<std::size_t>(count);
    constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const ssize_t result = count == 1 ? send(connection.fd, parts->iov_base, parts->iov_len, kFlags)
                                      : sendmsg(connection.fd, &message, kFlags);
    const Nanoseconds span = connection.server.settings().write;
    if (result < 0) {
      const int error = errno;
      if (deadline == 0) deadline = deadline_after(now_ns(), span);
      const Sent sent = after_failed_send(connection, error, deadline);
      if (sent != Sent::kAll) return sent;
      continue;
    }
    connection.server.counters().sent_bytes += static_cast<std::uint64_t>(result);
    auto sent = static_cast<std::size_t>(result);
    while (count > 0 && sent >= parts->iov_len) {
      sent -= parts->iov_len;
      ++parts;
      --count;
    }
    if (count == 0) break;
    parts->iov_base = static_cast<char*>(parts->iov_base) + sent;
    parts->iov_len -= sent;
    deadline = 0;  // there was progress
  }
  return Sent::kAll;
}

Sent send_all(Connection& connection, std::string_view data) noexcept {
  iovec part = {const_cast<char*>(data.data()), data.size()};
  return send_all(connection, &part, 1);
}

Sent send_file(Connection& connection, int file, off_t offset, std::int64_t size,
               std::int64_t* sent) noexcept {
  constexpr std::int64_t kMostAtOnce = 1 << 20;  // others want to run, too
  *sent = 0;
  Nanoseconds deadline = 0;
  while (*sent < size) {
    const auto want = static_cast<std::size_t>(std::min(size - *sent, kMostAtOnce));
    const ssize_t result = sendfile(connection.fd, file, &offset, want);
    if (result == 0) return Sent::kAll;
    if (result > 0) {
      *sent += result;
      connection.server.counters().sent_bytes += static_cast<std::uint64_t>(result);
      deadline = 0;
      continue;
    }
    const int error = errno;
    if (deadline == 0) deadline = deadline_after(now_ns(), connection.server.settings().write);
    const Sent state = after_failed_send(connection, error, deadline);
    if (state != Sent::kAll) return state;
  }
  return Sent::kAll;
}

bool shake_hands(Connection& connection, Nanoseconds deadline) noexcept {
  if (!set_timeout(connection, deadline)) return false;
  const Ref done = Ref::steal(PyObject_CallMethod(connection.tls.get(), "do_handshake", nullptr));
  return static_cast<bool>(done);
}

void expel_users(Connection& connection) noexcept {
  constexpr double kPause = 0.001;
  if (connection.users == 0) return;
  connection.lost = true;
  Ref exception = PyErr_Occurred() != nullptr ? take_exception() : Ref();
  while (connection.users > 0) {
    if (connection.fd >= 0) shutdown(connection.fd, SHUT_RDWR);
    if (coev->sleep(kPause) < 0) {  // a kill: the connection still has to outlive its users
      Ref raised = take_exception();
      if (!exception) exception = std::move(raised);
    }
  }
  if (exception)
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
}

void linger(Connection& connection) noexcept {
  if (connection.lost) return;
  if (connection.tls) {  // a close_notify; the peer's is not waited for
    if (set_timeout(connection, now_ns())) {
      Py_XDECREF(PyObject_CallMethod(connection.tls.get(), "unwrap", nullptr));
    }
    if (PyErr_Occurred() != nullptr && is_plain_exception()) PyErr_Clear();
    if (PyErr_Occurred() != nullptr) return;
  }
  if (shutdown(connection.fd, SHUT_WR) < 0) return;
  const Nanoseconds deadline = now_ns() + 2 * kSecond;
  constexpr std::size_t kMostBytes = 65536;
  std::array<char, 1024> junk;  // small: it stands on the stack of who waits
  for (std::size_t total = 0; total < kMostBytes;) {
    const Readiness readiness =
        connection.drained ? wait_for(connection, COEV_READABLE, deadline) : Readiness::kReady;
    if (readiness != Readiness::kReady) return;
    const ssize_t got = recv(connection.fd, junk.data(), junk.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
    connection.drained = got < static_cast<ssize_t>(junk.size());
    if (got > 0) total += static_cast<std::size_t>(got);
  }
}

}  // namespace coewsgi
