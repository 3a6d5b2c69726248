#include "python/monkey/sockets/socket_methods.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "core/io.h"
#include "core/patience.h"
#include "core/readiness.h"
#include "core/scheduler.h"
#include "python/base/arguments.h"
#include "python/base/buffer_view.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/sockets/resolver.h"
#include "python/monkey/sockets/socket_accept.h"
#include "python/monkey/sockets/socket_layout.h"
#include "python/waiting/blocking.h"
#include "python/waiting/hidden_nonblocking.h"
#include "python/waiting/kernel_modes.h"
#include "python/waiting/offloading.h"

namespace coev::python::socket_methods {
namespace {

struct Originals {
  Original accept, connect, connect_ex, recv, recv_into, recvfrom, recvfrom_into, recvmsg,
      recvmsg_into, send, sendall, sendto, sendmsg, close, detach, setblocking, settimeout,
      setsockopt;
  Original close_fd, os_close, os_closerange, os_dup2, os_get_blocking, os_set_blocking;
};
Originals g_original;
initproc g_original_init = nullptr;
PyObject* g_when_made = nullptr;  // to be called; nullptr when all is done
bool g_some_linger = false;       // whether SO_LINGER, which accepted sockets inherit, was ever set

// False: the original should deal with it: it does not block, or is an error.
bool would_block(const SocketFields& socket) noexcept {
  return socket.fd >= 0 && socket.blocks() && !is_closed();
}

bool is_ip(const SocketFields& socket) noexcept {
  return socket.family == AF_INET || socket.family == AF_INET6;
}

// A user who asks for MSG_DONTWAIT on a socket without a timeout is to be told
// EAGAIN, which the original does. With a timeout it waits all the same.
bool must_not_wait(const SocketFields& socket, int flags) noexcept {
  return (flags & MSG_DONTWAIT) != 0 && socket.timeout_ns < 0;
}

// Raises what ended a wait: without a timeout in Python it was the kernel's, or its mode.
// Always returns nullptr.
PyObject* raise_wait(Status status, Deadline deadline) noexcept {
  if (status != Status::kTimedOut || !deadline.is_never()) return raise(status);
  errno = EAGAIN;
  return PyErr_SetFromErrno(PyExc_OSError);
}

// --- recv and send: the hot ones ------------------------------------------------------

constexpr std::size_t kScratchBytes = 64 * 1024;

// Bytes pass through it between recv() and the result; nothing switches then.
char* scratch() noexcept {
  thread_local const std::unique_ptr<char[]> buffer(new char[kScratchBytes]);
  return buffer.get();
}

// Arguments we cannot make sense of are the original's to complain about: it
// does so before it does anything else.
template <typename Call>
PyObject* complain(Call original) noexcept {
  PyErr_Clear();
  return original();
}

Status receive_some(PyObject* self, void* buffer, std::size_t bytes, int flags, Deadline deadline,
                    std::size_t* count) noexcept {
  thread_state::ensure_scheduler();
  return wait([&] {
    const int fd = socket_fields(self).fd;
    if (fd < 0) return Status::kClosed;
    return io::receive(fd, buffer, bytes, flags, self, deadline, count, kernel_modes::deadline);
  });
}

// How many bytes a read of at most `bytes` waits for, unless the stream ends before. The
// kernel heeds MSG_WAITALL only on a descriptor that blocks, so not on one with a timeout.
std::size_t least_bytes(const SocketFields& socket, std::size_t bytes, int flags) noexcept {
  constexpr int kTypeMask = 0xf;
  if (socket.timeout_ns >= 0 || (flags & MSG_OOB) != 0 || (socket.type & kTypeMask) != SOCK_STREAM)
    return 1;
  // A look at what is there, of which only TCP waits for more.
  if ((flags & MSG_PEEK) != 0 && !is_ip(socket)) return 1;
  return (flags & MSG_WAITALL) != 0 ? bytes : std::min(bytes, kernel_modes::low_water(socket.fd));
}

bool waits_for_all(const SocketFields& socket, int flags) noexcept {
  return (flags & MSG_WAITALL) != 0 && least_bytes(socket, SIZE_MAX, flags) > 1;
}

// Whether there is nothing to wait for any more: so many bytes are there, or no more come.
bool has_received(int fd, std::size_t bytes) noexcept {
  int there = 0;
  int room = 0;
  socklen_t size = sizeof room;
  if (ioctl(fd, FIONREAD, &there) != 0 || io::is_receiving_shut(fd)) return true;
  // Half of the buffer is for what bytes cost: when it is full no more can come.
  if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &size) != 0) return true;
  return static_cast<std::size_t>(there) >= bytes || there >= room / 2;
}

// Waits for as many bytes in the kernel, for a call that cannot collect them.
// ERRORS: those of Patience::wait(), kInterrupted with an exception set.
Status await_bytes(PyObject* self, std::size_t bytes, Deadline deadline) noexcept {
  Patience patience(thread_state::scheduler());
  return wait([&] {
    for (;;) {
      const int fd = socket_fields(self).fd;
      if (fd < 0) return Status::kClosed;
      if (has_received(fd, bytes)) return Status::kOk;
      const Status status = patience.wait(fd, kReadable, deadline, self);
      if (status != Status::kOk) return status;
    }
  });
}

// Where a read waits for several bytes, the kernel's timeout is one for all of them, and
// what has come by then is the result.
Status receive_several(PyObject* self, char* buffer, std::size_t bytes, std::size_t least,
                       int flags, std::size_t* count) noexcept {
  *count = 0;
  const Deadline deadline = kernel_modes::deadline(socket_fields(self).fd, kReadable);
  Status status = Status::kOk;
  if ((flags & MSG_PEEK) != 0 && deadline.ns() != 0) {
    status = await_bytes(self, least, deadline);
    if (status != Status::kOk && status != Status::kTimedOut) return status;
    return receive_some(self, buffer, bytes, flags | MSG_DONTWAIT, Deadline::at(0), count);
  }
  do {
    std::size_t more = 0;
    status = receive_some(self, buffer + *count, bytes - *count, flags, deadline, &more);
    if (status == Status::kOk && more == 0) break;  // the end of the stream
    *count += more;
  } while (status == Status::kOk && *count < least);
  return status == Status::kTimedOut && *count > 0 ? Status::kOk : status;
}

Status receive(PyObject* self, void* buffer, std::size_t bytes, int flags, Deadline deadline,
               std::size_t* count) noexcept {
  if (bytes == 0) {  // CPython does not ask the kernel either
    *count = 0;
    return Status::kOk;
  }
  const std::size_t least = least_bytes(socket_fields(self), bytes, flags);
  if (least <= 1) [[likely]]
    return receive_some(self, buffer, bytes, flags, deadline, count);
  return receive_several(self, static_cast<char*>(buffer), bytes, least, flags, count);
}

PyObject* receive_large(PyObject* self, Py_ssize_t bytes, int flags, Deadline deadline) noexcept {
  PyObject* result = PyBytes_FromStringAndSize(nullptr, bytes);
  if (result == nullptr) return nullptr;
  std::size_t count = 0;
  const Status status = receive(self, PyBytes_AS_STRING(result), static_cast<std::size_t>(bytes),
                                flags, deadline, &count);
  if (status != Status::kOk) {
    Py_DECREF(result);
    return raise_wait(status, deadline);
  }
  _PyBytes_Resize(&result, static_cast<Py_ssize_t>(count));
  return result;
}

PyObject* replaced_recv(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  const SocketFields& socket = socket_fields(self);
  if (!would_block(socket) || count < 1 || count > 2)
    return g_original.recv(self, arguments, count);
  const auto original = [&] { return g_original.recv(self, arguments, count); };
  const Py_ssize_t bytes = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
  int flags = 0;
  if (bytes < 0 || (count == 2 && !parse_int(arguments[1], &flags))) return complain(original);
  if (must_not_wait(socket, flags)) return original();
  const Deadline deadline = socket.deadline();
  if (bytes > static_cast<Py_ssize_t>(kScratchBytes) || waits_for_all(socket, flags)) {
    return receive_large(self, bytes, flags, deadline);
  }
  std::size_t received = 0;
  char* buffer = scratch();
  const Status status =
      receive(self, buffer, static_cast<std::size_t>(bytes), flags, deadline, &received);
  if (status != Status::kOk) return raise_wait(status, deadline);
  return PyBytes_FromStringAndSize(buffer, static_cast<Py_ssize_t>(received));
}

PyObject* replaced_recv_into(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                             PyObject* keywords) {
  static constexpr const char* kNames[] = {"buffer", "nbytes", "flags", nullptr};
  const SocketFields& socket = socket_fields(self);
  if (!would_block(socket)) return g_original.recv_into(self, arguments, count, keywords);
  const auto original = [&] { return g_original.recv_into(self, arguments, count, keywords); };
  PyObject* values[3];
  int flags = 0;
  if (!parse_arguments("recv_into", arguments, count, keywords, kNames, 1, values)) {
    return complain(original);
  }
  const Py_ssize_t wanted =
      values[1] == nullptr ? 0 : PyNumber_AsSsize_t(values[1], PyExc_OverflowError);
  if (wanted < 0 || (values[2] != nullptr && !parse_int(values[2], &flags))) {
    return complain(original);
  }
  if (must_not_wait(socket, flags)) return original();
  const BufferView buffer(values[0], PyBUF_WRITABLE);
  if (!buffer) return complain(original);
  const std::size_t bytes = wanted == 0 ? buffer.size() : static_cast<std::size_t>(wanted);
  if (bytes > buffer.size()) {
    PyErr_SetString(PyExc_ValueError, "buffer too small for requested bytes");
    return nullptr;
  }
  std::size_t received = 0;
  const Deadline deadline = socket.deadline();
  const Status status = receive(self, buffer.bytes(), bytes, flags, deadline, &received);
  if (status != Status::kOk) return raise_wait(status, deadline);
  return PyLong_FromSize_t(received);
}

Status send_some(PyObject* self, const char* bytes, std::size_t size, int flags, Deadline deadline,
                 std::size_t* sent) noexcept {
  thread_state::ensure_scheduler();
  return wait([&] {
    const int fd = socket_fields(self).fd;
    if (fd < 0) return Status::kClosed;
    return io::send(fd, bytes, size, flags, self, deadline, sent, kernel_modes::deadline);
  });
}

PyObject* replaced_send(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  const SocketFields& socket = socket_fields(self);
  if (!would_block(socket) || count < 1 || count > 2)
    return g_original.send(self, arguments, count);
  int flags = 0;
  const auto original = [&] { return g_original.send(self, arguments, count); };
  if (count == 2 && !parse_int(arguments[1], &flags)) return complain(original);
  if (must_not_wait(socket, flags)) return original();
  const BufferView data(arguments[0], PyBUF_SIMPLE);
  if (!data) return complain(original);
  std::size_t sent = 0;
  const Deadline deadline = socket.deadline();
  const Status status = send_some(self, data.bytes(), data.size(), flags, deadline, &sent);
  if (status != Status::kOk) return raise_wait(status, deadline);
  return PyLong_FromSize_t(sent);
}

PyObject* replaced_sendall(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject*) {
  const SocketFields& socket = socket_fields(self);
  if (!would_block(socket) || count < 1 || count > 2) {
    return g_original.sendall(self, arguments, count);
  }
  int flags = 0;
  const auto original = [&] { return g_original.sendall(self, arguments, count); };
  if (count == 2 && !parse_int(arguments[1], &flags)) return complain(original);
  if (must_not_wait(socket, flags)) return original();
  const BufferView data(arguments[0], PyBUF_SIMPLE);
  if (!data) return complain(original);
  const Deadline deadline = socket.deadline();
  std::size_t done = 0;
  do {
    std::size_t sent = 0;
    const Status status =
        send_some(self, data.bytes() + done, data.size() - done, flags, deadline, &sent);
    if (status != Status::kOk) return raise_wait(status, deadline);
    done += sent;
  } while (done < data.size());
  Py_RETURN_NONE;
}

// --- the others: the original on a shadow, and a wait where it would block ---------------

// kTimedOut: it would block. kSystemError: an exception is set.
template <typename Call>
Status try_on_shadow(PyObject* self, PyObject** result, Call call) noexcept {
  PyObject* shadow = borrow_shadow(self);
  if (shadow == nullptr) return Status::kSystemError;
  *result = call(shadow);
  return_shadow(shadow);
  if (*result != nullptr) return Status::kOk;
  if (!PyErr_ExceptionMatches(PyExc_BlockingIOError)) return Status::kSystemError;
  PyErr_Clear();
  return Status::kTimedOut;
}

// Tries, and waits for `event`, until `attempt(result, patience)` does not return kTimedOut.
template <typename Attempt>
PyObject* until_done(PyObject* self, unsigned event, Deadline deadline, Attempt attempt) noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  const Status quota = wait([&] { return scheduler.spend_quota(); });
  if (quota != Status::kOk) return raise(quota);
  Patience patience(scheduler);
  Deadline end = deadline;
  for (;;) {
    PyObject* result = nullptr;
    if (attempt(&result, patience) != Status::kTimedOut) return result;
    if (deadline.is_never() && !patience.tried()) {
      end = kernel_modes::deadline(socket_fields(self).fd, event);
      if (end.ns() == 0) return raise_wait(Status::kTimedOut, deadline);
    }
    const Status ready = wait_ready(self, event, end, patience);
    if (ready != Status::kOk) return raise_wait(ready, deadline);
  }
}

// The arguments with MSG_DONTWAIT among their flags.
class WithFlags {
 public:
  // `flags_at`: the position of the flags; what is missing before comes from
  // `defaults`. False with an exception set.
  bool assign(PyObject* const* values, Py_ssize_t count, Py_ssize_t flags_at,
              PyObject* const* defaults) noexcept {
    count_ = count > flags_at ? count : flags_at + 1;
    for (Py_ssize_t i = 0; i < count_; ++i) values_[i] = i < count ? values[i] : defaults[i];
    int flags = 0;
    if (count > flags_at && !parse_int(values[flags_at], &flags)) return false;
    flags_ = Ref::steal(PyLong_FromLong(flags | MSG_DONTWAIT));
    user_flags_ = Ref::steal(PyLong_FromLong(flags));
    values_[flags_at] = flags_.get();
    flags_at_ = flags_at;
    given_ = flags;
    return flags_ && user_flags_;
  }
  [[nodiscard]] int given() const noexcept { return given_; }
  PyObject* call(const Original& original, PyObject* shadow) const noexcept {
    return original(shadow, values_, count_);
  }
  // As the user gave them. REQUIRES: the call does not wait.
  void take_back() noexcept { values_[flags_at_] = user_flags_.get(); }

 private:
  static constexpr Py_ssize_t kMost = 4;
  PyObject* values_[kMost] = {};
  Py_ssize_t count_ = 0;
  Py_ssize_t flags_at_ = 0;
  int given_ = 0;
  Ref flags_;
  Ref user_flags_;
};

constexpr Py_ssize_t kMostArguments = 4;

// Arguments of which the first `iterables` can be iterated over, once: what is tried
// again needs them again. What is not iterable is for the original to complain about.
class Repeatable {
 public:
  // False with an exception set.
  bool assign(PyObject* const* arguments, Py_ssize_t count, Py_ssize_t iterables) noexcept {
    for (Py_ssize_t i = 0; i < count; ++i) {
      values_[i] = arguments[i];
      if (i >= iterables || Py_TYPE(arguments[i])->tp_iter == nullptr) continue;
      kept_[i] = Ref::steal(PySequence_Tuple(arguments[i]));
      if (!kept_[i]) return false;
      values_[i] = kept_[i].get();
    }
    return true;
  }
  [[nodiscard]] PyObject* const* values() const noexcept { return values_; }

 private:
  PyObject* values_[kMostArguments] = {};
  Ref kept_[kMostArguments];
};

// How many bytes recvfrom() and the like ask for: a number, a buffer and perhaps a number,
// or buffers. What is none of them is for the original to complain about: 0.
std::size_t bytes_asked(PyObject* const* arguments, Py_ssize_t count,
                        Py_ssize_t flags_at) noexcept {
  std::size_t bytes = 0;
  if (PyTuple_Check(arguments[0])) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(arguments[0]); ++i) {
      const BufferView buffer(PyTuple_GET_ITEM(arguments[0], i), PyBUF_SIMPLE);
      bytes += buffer ? buffer.size() : 0;
    }
  } else if (PyLong_Check(arguments[0])) {
    bytes = PyLong_AsSize_t(arguments[0]);
  } else {
    const BufferView buffer(arguments[0], PyBUF_SIMPLE);
    bytes = buffer ? buffer.size() : 0;
    if (flags_at > 1 && count > 1 && PyLong_Check(arguments[1])) {
      const std::size_t fewer = PyLong_AsSize_t(arguments[1]);
      if (fewer > 0 && fewer < bytes) bytes = fewer;
    }
  }
  if (PyErr_Occurred() == nullptr) return bytes;
  PyErr_Clear();
  return 0;
}

// Waits until as much is there as the call waits for natively. False with an exception set.
bool await_least(PyObject* self, PyObject* const* arguments, Py_ssize_t count, Py_ssize_t flags_at,
                 int flags) noexcept {
  const SocketFields& socket = socket_fields(self);
  if (least_bytes(socket, SIZE_MAX, flags) <= 1) [[likely]]
    return true;
  const std::size_t least = least_bytes(socket, bytes_asked(arguments, count, flags_at), flags);
  const Deadline end = kernel_modes::deadline(socket.fd, kReadable);
  if (least <= 1 || end.ns() == 0) return true;
  const Status status = await_bytes(self, least, end);
  if (status == Status::kOk || status == Status::kTimedOut) return true;
  raise(status);
  return false;
}

// recvfrom, recvmsg, recvmsg_into and sendmsg differ in these:
template <Original Originals::*original, int flags_at, unsigned event, int iterables = 0>
PyObject* with_flags(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) noexcept {
  const Original& call = g_original.*original;
  if (!would_block(socket_fields(self)) || count < 1 || count > kMostArguments ||
      keywords != nullptr) {
    return call(self, arguments, count, keywords);
  }
  const Ref zero = Ref::steal(PyLong_FromLong(0));
  const Ref nothing = Ref::steal(PyTuple_New(0));
  PyObject* filler = event == kWritable ? nothing.get() : zero.get();
  PyObject* defaults[kMostArguments] = {filler, filler, filler, filler};
  Repeatable repeatable;
  if (!repeatable.assign(arguments, count, iterables)) return nullptr;
  arguments = repeatable.values();
  WithFlags with;
  if (!with.assign(arguments, count, flags_at, defaults)) {
    return complain([&] { return call(self, arguments, count); });
  }
  if (must_not_wait(socket_fields(self), with.given())) return call(self, arguments, count);
  const Deadline deadline = socket_fields(self).deadline();
  if (event == kReadable && !await_least(self, arguments, count, flags_at, with.given())) {
    return nullptr;
  }
  return until_done(self, event, deadline, [&](PyObject** result, const Patience& patience) {
    // Datagrams do not end: only a call that may wait is told so after a shutdown.
    if (event == kReadable && patience.tried() && deadline.is_never() &&
        io::is_receiving_shut(socket_fields(self).fd)) {
      with.take_back();
    }
    return try_on_shadow(self, result, [&](PyObject* shadow) { return with.call(call, shadow); });
  });
}

PyObject* replaced_recvfrom_into(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                 PyObject* keywords) {
  static constexpr const char* kNames[] = {"buffer", "nbytes", "flags", nullptr};
  if (!would_block(socket_fields(self))) {
    return g_original.recvfrom_into(self, arguments, count, keywords);
  }
  PyObject* values[3];
  if (!parse_arguments("recvfrom_into", arguments, count, keywords, kNames, 1, values)) {
    return complain([&] { return g_original.recvfrom_into(self, arguments, count, keywords); });
  }
  const Ref zero = Ref::steal(PyLong_FromLong(0));
  for (int i = 1; i < 3; ++i) {
    if (values[i] == nullptr) values[i] = zero.get();
  }
  return with_flags<&Originals::recvfrom_into, 2, kReadable>(self, values, 3, nullptr);
}

PyObject* replaced_sendto(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  if (!would_block(socket_fields(self)) || count < 2 || count > 3) {
    return g_original.sendto(self, arguments, count);
  }
  const Ref address = Ref::steal(resolver::resolve(self, arguments[count - 1]));
  if (!address) return nullptr;
  int flags = 0;
  if (count == 3 && !parse_int(arguments[1], &flags)) {
    return complain([&] { return g_original.sendto(self, arguments, count); });
  }
  PyObject* resolved[] = {arguments[0], count == 3 ? arguments[1] : address.get(), address.get()};
  if (must_not_wait(socket_fields(self), flags)) return g_original.sendto(self, resolved, count);
  const Ref all_flags = Ref::steal(PyLong_FromLong(flags | MSG_DONTWAIT));
  if (!all_flags) return nullptr;
  PyObject* values[] = {arguments[0], all_flags.get(), address.get()};
  return until_done(
      self, kWritable, socket_fields(self).deadline(), [&](PyObject** result, const Patience&) {
        return try_on_shadow(
            self, result, [&](PyObject* shadow) { return g_original.sendto(shadow, values, 3); });
      });
}

// --- accept ---------------------------------------------------------------------------

// accept() and connect() have no flag of their own: the open file, which other processes
// may share, does not block for the moment of the call.
class MomentarilyNonblocking {
 public:
  explicit MomentarilyNonblocking(int fd) noexcept : fd_(fd), flags_(fcntl(fd, F_GETFL)) {
    if (changes()) fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK);
  }
  ~MomentarilyNonblocking() {
    if (changes()) fcntl(fd_, F_SETFL, flags_);
  }
  MomentarilyNonblocking(const MomentarilyNonblocking&) = delete;
  MomentarilyNonblocking& operator=(const MomentarilyNonblocking&) = delete;

 private:
  [[nodiscard]] bool changes() const noexcept { return flags_ >= 0 && (flags_ & O_NONBLOCK) == 0; }

  int fd_;
  int flags_;
};

// accept() in vain costs the kernel a socket, and a look before accept() a system call.
// So there is a look until one has found somebody waiting, and then none until accept()
// finds nobody.
bool g_listeners_are_busy = false;

// True also when there is an error to report.
bool is_readable(int fd) noexcept {
  pollfd look{fd, POLLIN, 0};
  return poll(&look, 1, 0) != 0;
}

// The address out of what _accept() has returned, which is given up, and the descriptor.
PyObject* take_apart(PyObject* accepted, int* fd) noexcept {
  const Ref both = Ref::steal(accepted);
  if (!both || !parse_int(PyTuple_GET_ITEM(accepted, 0), fd)) return nullptr;
  return Py_NewRef(PyTuple_GET_ITEM(accepted, 1));
}

PyObject* replaced_accept(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  int fd = -1;
  Ref address = Ref::steal(accept(self, &fd));
  if (!address) return nullptr;
  Ref both = pair(Ref::steal(PyLong_FromLong(fd)), static_cast<Ref&&>(address));
  if (!both) ::close(fd);
  return both.release();
}

// --- setsockopt -----------------------------------------------------------------------

// It never blocks, but many a server calls it for each connection, with three ints.
PyObject* replaced_setsockopt(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                              PyObject*) {
  const SocketFields& socket = socket_fields(self);
  int values[3];
  int ints = 0;
  while (ints < 3 && ints < count && PyLong_CheckExact(arguments[ints]) &&
         parse_int(arguments[ints], &values[ints])) {
    ++ints;
  }
  if (ints >= 2) kernel_modes::option_set(values[0], values[1]);
  if (ints != count || count != 3 || !is_ip(socket)) {
    if (ints >= 2 && values[0] == SOL_SOCKET && values[1] == SO_LINGER) g_some_linger = true;
    return complain([&] { return g_original.setsockopt(self, arguments, count); });
  }
  if (setsockopt(socket.fd, values[0], values[1], &values[2], sizeof values[2]) != 0) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  Py_RETURN_NONE;
}

// --- connect --------------------------------------------------------------------------

constexpr std::int64_t kUnixRetryNs = 1'000'000;  // a full backlog cannot be waited for

// The errno of connect(), or -1 with an exception set: a bad address.
int attempt_connect(PyObject* self, PyObject* address) noexcept {
  const MomentarilyNonblocking mode(socket_fields(self).fd);
  PyObject* result = nullptr;
  const Status status = try_on_shadow(
      self, &result, [&](PyObject* shadow) { return g_original.connect_ex(shadow, &address, 1); });
  if (status != Status::kOk) return -1;
  const int error = static_cast<int>(PyLong_AsLong(result));
  Py_DECREF(result);
  return error;
}

// The errno of a connection attempt that has come to its end, or -1 with an exception set.
// `end`: when the kernel, or the timeout in Python, gives up.
int finish_connect(PyObject* self, PyObject* address, int error, Deadline deadline,
                   Deadline end) noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  while (error == EAGAIN && socket_fields(self).family == AF_UNIX && deadline.is_never()) {
    if (end.passed()) return error;
    const Status status =
        wait([&] { return scheduler.sleep_until(Deadline::after(kUnixRetryNs)); });
    if (status != Status::kTimedOut) return raise(status), -1;
    error = attempt_connect(self, address);
  }
  if ((error != EINPROGRESS && error != EINTR) || end.ns() == 0) return error;
  Patience patience(scheduler);
  const Status ready = wait_ready(self, kWritable, end, patience);
  if (ready == Status::kTimedOut && deadline.is_never()) return error;
  if (ready != Status::kOk) return raise(ready), -1;
  socklen_t size = sizeof error;
  if (getsockopt(socket_fields(self).fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  if (error != 0 || !deadline.is_never()) return error;
  // Until it is asked once more, the kernel would let the user connect again.
  error = attempt_connect(self, address);
  return error == EISCONN ? 0 : error;
}

// As finish_connect(). `original` complains about a bad address.
int connect_to(PyObject* self, PyObject* given, const Original& original) noexcept {
  const Deadline deadline = socket_fields(self).deadline();
  const Ref address = Ref::steal(resolver::resolve(self, given));
  if (!address) return -1;
  const int fd = socket_fields(self).fd;
  const Deadline end = deadline.is_never() ? kernel_modes::deadline(fd, kWritable) : deadline;
  PyObject* target = address.get();
  int error = attempt_connect(self, target);
  if (error >= 0) return finish_connect(self, target, error, deadline, end);
  Ref::steal(complain([&] { return original(self, &target, 1); }));
  return error;
}

PyObject* replaced_connect(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject*) {
  if (!would_block(socket_fields(self))) return g_original.connect(self, arguments, count);
  const int error = connect_to(self, arguments[0], g_original.connect);
  if (error == 0) Py_RETURN_NONE;
  if (error < 0) return nullptr;
  errno = error;
  return PyErr_SetFromErrno(PyExc_OSError);
}

PyObject* replaced_connect_ex(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                              PyObject*) {
  if (!would_block(socket_fields(self))) return g_original.connect_ex(self, arguments, count);
  const int error = connect_to(self, arguments[0], g_original.connect_ex);
  if (error >= 0) return PyLong_FromLong(error);
  if (!PyErr_ExceptionMatches(PyExc_TimeoutError)) return nullptr;
  PyErr_Clear();
  return PyLong_FromLong(EAGAIN);  // as the original on a timeout
}

// --- closing and opening --------------------------------------------------------------

bool lingers(int fd) noexcept {
  linger value{};
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &size) == 0 && value.l_onoff != 0 &&
         value.l_linger > 0;
}

// Waits for bytes that the peer has not taken yet, as long as SO_LINGER says, on a thread
// of the pool: nothing else tells when that is over.
PyObject* close_lingering(PyObject* self) noexcept {
  const Ref function = Ref::steal(g_original.close.bound_to(self));
  const Ref arguments = Ref::steal(function ? PyTuple_New(0) : nullptr);
  return arguments ? run_offloaded(function.get(), arguments.get(), nullptr, nullptr) : nullptr;
}

// The original gives up the GIL for it, which costs more than the rest. It may take
// long only where somebody has asked for that.
PyObject* replaced_close(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  SocketFields& socket = socket_fields(self);
  forget(socket.fd);
  if (g_some_linger && socket.fd >= 0 && lingers(socket.fd)) {
    if (can_block()) return close_lingering(self);
    PyErr_Clear();
  }
  if (socket.fd < 0 || !is_ip(socket) || g_some_linger) {
    return g_original.close(self, arguments, count);
  }
  // That the peer has closed it first is no error, as in the original.
  if (::close(std::exchange(socket.fd, -1)) != 0 && errno != ECONNRESET) {
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  Py_RETURN_NONE;
}

PyObject* replaced_detach(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  hidden_nonblocking::restore(
      socket_fields(self).fd);  // whoever gets the fd expects the user's mode
  forget(socket_fields(self).fd);
  return g_original.detach(self, arguments, count);
}

template <Original Originals::*original>
PyObject* with_mode(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  hidden_nonblocking::forget(
      socket_fields(self).fd);  // the original sets the open file's mode anew
  return (g_original.*original)(self, arguments, count, keywords);
}

bool socket_made(PyObject* socket) noexcept {
  if (g_when_made == nullptr || Py_IS_TYPE(socket, socket_type())) [[likely]]
    return true;
  const Ref function = Ref::steal(std::exchange(g_when_made, nullptr));
  const Ref done = Ref::steal(PyObject_CallNoArgs(function.get()));
  return static_cast<bool>(done);
}

// Whether __init__(family, type, proto, fileno) got a fileno.
bool is_given_fd(PyObject* arguments, PyObject* keywords) noexcept {
  constexpr Py_ssize_t kFilenoAt = 3;
  return PyTuple_GET_SIZE(arguments) > kFilenoAt ||
         (keywords != nullptr && PyDict_GetItemString(keywords, "fileno") != nullptr);
}

// A socket object that gets an fd gets one of which nothing old is known.
int replaced_init(PyObject* self, PyObject* arguments, PyObject* keywords) {
  const int result = g_original_init(self, arguments, keywords);
  if (result != 0) return result;
  forget(socket_fields(self).fd);
  if (is_given_fd(arguments, keywords)) kernel_modes::look_at(socket_fields(self).fd);
  return socket_made(self) ? 0 : -1;
}

template <Original Originals::*original, int fd_at>
PyObject* closes_fd(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  if (count > fd_at && PyLong_Check(arguments[fd_at])) {
    const long fd = PyLong_AsLong(arguments[fd_at]);
    if (fd >= 0 && fd <= INT_MAX) forget(static_cast<int>(fd));
    PyErr_Clear();
  }
  return (g_original.*original)(self, arguments, count, keywords);
}

PyObject* replaced_closerange(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                              PyObject* keywords) {
  static constexpr const char* kNames[] = {"fd_low", "fd_high", nullptr};
  PyObject* values[2];
  int low = 0;
  int high = 0;
  if (parse_arguments("closerange", arguments, count, keywords, kNames, 2, values) &&
      parse_int(values[0], &low) && parse_int(values[1], &high)) {
    hidden_nonblocking::forget_range(low, high);
    Readiness::forget_range(low, high);
  }
  PyErr_Clear();
  return g_original.os_closerange(self, arguments, count, keywords);
}

// What is no descriptor is for the original to complain about: -1.
int descriptor_of(PyObject* const* arguments, Py_ssize_t count) noexcept {
  int fd = -1;
  if (count > 0 && PyLong_Check(arguments[0]) && parse_int(arguments[0], &fd)) return fd;
  PyErr_Clear();
  return -1;
}

PyObject* replaced_get_blocking(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                PyObject* keywords) {
  if (count == 1 && hidden_nonblocking::is_set(descriptor_of(arguments, count))) Py_RETURN_TRUE;
  return g_original.os_get_blocking(self, arguments, count, keywords);
}

PyObject* replaced_set_blocking(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                PyObject* keywords) {
  hidden_nonblocking::forget(descriptor_of(arguments, count));
  return g_original.os_set_blocking(self, arguments, count, keywords);
}

// --- installing -----------------------------------------------------------------------

bool replace_init(PyTypeObject* type) noexcept {
  PyObject* descriptor = PyDict_GetItemString(type->tp_dict, "__init__");
  if (descriptor == nullptr || !Py_IS_TYPE(descriptor, &PyWrapperDescr_Type)) {
    PyErr_SetString(PyExc_ImportError, "coev does not know how sockets are initialized here");
    return false;
  }
  g_original_init = type->tp_init;
  reinterpret_cast<PyWrapperDescrObject*>(descriptor)->d_wrapped =
      reinterpret_cast<void*>(replaced_init);
  type->tp_init = replaced_init;
  return true;
}

bool retarget_methods(PyObject* type) noexcept {
  Originals& o = g_original;
  return retarget<replaced_accept>(type, "_accept", &o.accept) &&
         retarget<replaced_setsockopt>(type, "setsockopt", &o.setsockopt) &&
         retarget<replaced_connect>(type, "connect", &o.connect) &&
         retarget<replaced_connect_ex>(type, "connect_ex", &o.connect_ex) &&
         retarget<replaced_recv>(type, "recv", &o.recv) &&
         retarget<replaced_recv_into>(type, "recv_into", &o.recv_into) &&
         retarget<with_flags<&Originals::recvfrom, 1, kReadable>>(type, "recvfrom", &o.recvfrom) &&
         retarget<replaced_recvfrom_into>(type, "recvfrom_into", &o.recvfrom_into) &&
         retarget<with_flags<&Originals::recvmsg, 2, kReadable>>(type, "recvmsg", &o.recvmsg) &&
         retarget<with_flags<&Originals::recvmsg_into, 2, kReadable, 1>>(type, "recvmsg_into",
                                                                         &o.recvmsg_into) &&
         retarget<replaced_send>(type, "send", &o.send) &&
         retarget<replaced_sendall>(type, "sendall", &o.sendall) &&
         retarget<replaced_sendto>(type, "sendto", &o.sendto) &&
         retarget<with_flags<&Originals::sendmsg, 2, kWritable, 2>>(type, "sendmsg", &o.sendmsg) &&
         retarget<replaced_close>(type, "close", &o.close) &&
         retarget<replaced_detach>(type, "detach", &o.detach) &&
         retarget<with_mode<&Originals::setblocking>>(type, "setblocking", &o.setblocking) &&
         retarget<with_mode<&Originals::settimeout>>(type, "settimeout", &o.settimeout);
}

bool retarget_functions(PyObject* socket_module, PyObject* os_module) noexcept {
  Originals& o = g_original;
  return retarget<closes_fd<&Originals::close_fd, 0>>(socket_module, "close", &o.close_fd) &&
         retarget<closes_fd<&Originals::os_close, 0>>(os_module, "close", &o.os_close) &&
         retarget<replaced_closerange>(os_module, "closerange", &o.os_closerange) &&
         retarget<closes_fd<&Originals::os_dup2, 1>>(os_module, "dup2", &o.os_dup2) &&
         retarget<replaced_get_blocking>(os_module, "get_blocking", &o.os_get_blocking) &&
         retarget<replaced_set_blocking>(os_module, "set_blocking", &o.os_set_blocking);
}

}  // namespace

void forget(int fd) noexcept {
  if (fd < 0) return;
  hidden_nonblocking::forget(fd);
  Readiness::forget(fd);
}

PyObject* close(PyObject* socket) noexcept { return replaced_close(socket, nullptr, 0, nullptr); }

PyObject* accept(PyObject* listener, int* fd) noexcept {
  const SocketFields& socket = socket_fields(listener);
  if (!would_block(socket)) return take_apart(g_original.accept(listener), fd);
  const Deadline deadline = socket.deadline();
  if (!g_listeners_are_busy) g_listeners_are_busy = is_readable(socket.fd);
  bool tries = g_listeners_are_busy;
  return until_done(
      listener, kReadable, deadline, [=](PyObject** address, const Patience&) mutable {
        if (!std::exchange(tries, true)) return Status::kTimedOut;
        const MomentarilyNonblocking mode(socket_fields(listener).fd);
        const Status status = socket_fields(listener).family == AF_INET
                                  ? accept_ipv4(listener, fd, address)
                                  : try_on_shadow(listener, address, [fd](PyObject* shadow) {
                                      return take_apart(g_original.accept(shadow), fd);
                                    });
        if (status == Status::kTimedOut) g_listeners_are_busy = false;
        return status;
      });
}

void call_when_made(PyObject* function) noexcept { g_when_made = Py_NewRef(function); }

Status wait_ready(PyObject* socket, unsigned event, Deadline deadline,
                  Patience& patience) noexcept {
  return wait([&] {
    const int fd = socket_fields(socket).fd;
    return fd < 0 ? Status::kClosed : patience.wait(fd, event, deadline, socket);
  });
}

bool install() noexcept {
  if (g_original.recv) return true;
  const Ref socket_module = Ref::steal(PyImport_ImportModule("_socket"));
  const Ref os_module = Ref::steal(PyImport_ImportModule("posix"));
  if (!socket_module || !os_module) return false;
  const Ref type = Ref::steal(PyObject_GetAttrString(socket_module.get(), "socket"));
  if (!type) return false;
  auto* socket_type = reinterpret_cast<PyTypeObject*>(type.get());
  return check_socket_layout(socket_type) && replace_init(socket_type) &&
         retarget_methods(type.get()) && retarget_functions(socket_module.get(), os_module.get()) &&
         resolver::install(socket_module.get());
}

}  // namespace coev::python::socket_methods
