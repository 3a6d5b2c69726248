#include "python/monkey/files/descriptor.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <numeric>

#include "core/io.h"
#include "core/patience.h"
#include "core/scheduler.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/hidden_nonblocking.h"
#include "python/waiting/kernel_modes.h"

namespace coev::python {
namespace {

// A terminal that is ready takes so much without blocking, also if each byte
// becomes two: terminals allocate no less than 256 bytes at a time.
constexpr std::size_t kTerminalBytes = 128;

// What can be copied while other OS threads wait for the GIL.
constexpr std::size_t kQuickBytes = 128 * 1024;

// Null, zero, full, random: always ready.
bool is_memory_device(dev_t device) noexcept {
  constexpr unsigned kMemoryDevices = 1;
  constexpr unsigned kKernelLog = 11;
  return major(device) == kMemoryDevices && minor(device) != kKernelLog;
}

std::size_t total(const iovec* buffers, int count) noexcept {
  return std::accumulate(buffers, buffers + count, std::size_t{0},
                         [](std::size_t sum, const iovec& b) { return sum + b.iov_len; });
}

void use_up(iovec*& buffers, int& count, std::size_t bytes) noexcept {
  while (count > 0 && bytes >= buffers->iov_len) {
    bytes -= buffers->iov_len;
    ++buffers;
    --count;
  }
  if (count == 0) return;
  buffers->iov_base = static_cast<char*>(buffers->iov_base) + bytes;
  buffers->iov_len -= bytes;
}

msghdr message_of(const iovec* buffers, int count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(buffers);
  message.msg_iovlen = static_cast<std::size_t>(count);
  return message;
}

bool refuses_nowait(int error) noexcept { return error == EOPNOTSUPP || error == ENOSYS; }

// A call of the operating system that should not block, but might.
template <typename Call>
ssize_t without_gil(Call call) noexcept {
  ssize_t result = -1;
  Py_BEGIN_ALLOW_THREADS;
  result = call();
  Py_END_ALLOW_THREADS;
  if (result < 0 && errno == EINTR) errno = EAGAIN;  // the caller waits, and looks at signals
  return result;
}

}  // namespace

Descriptor::Kind Descriptor::kind_of(int fd) noexcept {
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) return Kind::kDirect;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
      return Kind::kDirect;
    case S_IFIFO:
      return Kind::kPipe;
    case S_IFSOCK:
      return Kind::kSocket;
    case S_IFCHR:
      if (is_memory_device(status.st_rdev)) return Kind::kDirect;
      return isatty(fd) != 0 ? Kind::kTerminal : Kind::kOther;
    default:
      return Kind::kOther;
  }
}

bool Descriptor::nonblocking() const noexcept {
  const int flags = fcntl(fd_, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0 && !hidden_nonblocking::is_set(fd_);
}

// The kernel tells a copy that would wait from one at the end.
bool Descriptor::has_writer() const noexcept {
  std::array<int, 2> scratch{};
  if (pipe2(scratch.data(), O_CLOEXEC) != 0) return true;
  const bool found = tee(fd_, scratch[1], 1, SPLICE_F_NONBLOCK) != 0;
  ::close(scratch[0]);
  ::close(scratch[1]);
  return found;
}

bool Descriptor::is_ready(unsigned event) const noexcept {
  pollfd request{fd_, static_cast<short>(event == kReadable ? POLLIN : POLLOUT), 0};
  return ::poll(&request, 1, 0) != 0;
}

// Sockets count what the buffers cost, not what is in them: half is for that.
std::size_t Descriptor::room() noexcept {
  if (kind() != Kind::kSocket) return SSIZE_MAX;
  constexpr std::size_t kLeastBytes = 512;
  std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
  socklen_t size = sizeof memory;
  if (getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0) return kLeastBytes;
  const std::size_t limit = memory[SK_MEMINFO_SNDBUF];
  const std::size_t used = std::max(memory[SK_MEMINFO_WMEM_ALLOC], memory[SK_MEMINFO_WMEM_QUEUED]);
  return std::max(used < limit ? (limit - used) / 2 : 0, kLeastBytes);
}

Status Descriptor::wait(unsigned event, Patience& patience) noexcept {
  if (!patience.tried()) end_ = kernel_modes::deadline(fd_, event);
  if (end_.ns() == 0) return Status::kTimedOut;
  return python::wait([&] { return patience.wait(fd_, event, end_, owner_); });
}

bool Descriptor::wait_until(unsigned event) noexcept {
  Patience patience(thread_state::scheduler());
  while (!is_ready(event)) {
    const Status status =
        python::wait([&] { return patience.wait(fd_, event, Deadline::never(), owner_); });
    if (status != Status::kOk) return raise(status), false;
  }
  return true;
}

bool Descriptor::may_know_nowait() const noexcept {
  return kind_ == Kind::kPipe || kind_ == Kind::kOther;
}

ssize_t Descriptor::try_read(const iovec* buffers, int count) noexcept {
  if (kind_ == Kind::kSocket) {
    msghdr message = message_of(buffers, count);
    return ::recvmsg(fd_, &message, MSG_DONTWAIT);
  }
  if (may_know_nowait()) {
    const ssize_t got = ::preadv2(fd_, buffers, count, -1, RWF_NOWAIT);
    if (got >= 0 || !refuses_nowait(errno)) return got;
    if (kind_ == Kind::kPipe) kind_ = Kind::kFifo;  // or a pipe, before Linux 6.4
  }
  // A FIFO that nobody writes to is at its end, but not ready before somebody did.
  if (!is_ready(kReadable) && (kind_ != Kind::kFifo || has_writer()) && !nonblocking()) {
    errno = EAGAIN;
    return -1;
  }
  return without_gil([&] { return ::readv(fd_, buffers, count); });
}

ssize_t Descriptor::write_little(const iovec* buffers, int count) const noexcept {
  if (!is_ready(kWritable)) {
    errno = EAGAIN;
    return -1;
  }
  const std::size_t room = kind_ == Kind::kFifo       ? PIPE_BUF
                           : kind_ == Kind::kTerminal ? kTerminalBytes
                                                      : SSIZE_MAX;
  if (total(buffers, count) <= room) {
    return without_gil([&] { return ::writev(fd_, buffers, count); });
  }
  const std::size_t bytes = std::min(buffers->iov_len, room);
  return without_gil([&] { return ::write(fd_, buffers->iov_base, bytes); });
}

ssize_t Descriptor::try_write(const iovec* buffers, int count) noexcept {
  if (kind_ == Kind::kSocket) {
    const msghdr message = message_of(buffers, count);
    return ::sendmsg(fd_, &message, MSG_DONTWAIT);
  }
  if (may_know_nowait()) {
    const ssize_t put = ::pwritev2(fd_, buffers, count, -1, RWF_NOWAIT);
    if (put >= 0 || !refuses_nowait(errno)) return put;
    if (kind_ == Kind::kPipe) kind_ = Kind::kFifo;
  }
  return write_little(buffers, count);
}

// Datagrams do not end: only a call that may wait is told 0 after a shutdown.
bool Descriptor::has_ended() const noexcept {
  return kind_ == Kind::kSocket && io::is_receiving_shut(fd_);
}

Py_ssize_t Descriptor::read_known(const iovec* buffers, int count, bool nothing_there) noexcept {
  Patience patience(thread_state::scheduler());
  for (;; nothing_there = false) {
    if (!nothing_there) {
      ssize_t got = try_read(buffers, count);
      if (got < 0 && errno == EAGAIN && patience.tried() && has_ended()) {
        got = without_gil([&] { return ::readv(fd_, buffers, count); });
      }
      if (got >= 0) return got;
      if (errno != EAGAIN) return PyErr_SetFromErrno(PyExc_OSError), kFailed;
    }
    const Status status = wait(kReadable, patience);
    if (status == Status::kTimedOut) return kWouldBlock;
    if (status != Status::kOk) return raise(status), kFailed;
  }
}

// Most reads of files get all they ask for from the memory of the kernel, and
// never have to know what they read.
Py_ssize_t Descriptor::read_unknown(iovec* buffers, int count) noexcept {
  const ssize_t got = ::preadv2(fd_, buffers, count, -1, RWF_NOWAIT);
  const bool nothing_there = got < 0 && errno == EAGAIN;
  if (got >= 0 && (static_cast<std::size_t>(got) == total(buffers, count) || waits())) return got;
  if (waits()) return read_known(buffers, count, nothing_there);
  if (got <= 0) return got == 0 ? 0 : kDirect;
  use_up(buffers, count, static_cast<std::size_t>(got));  // the rest is on the disk, or nothing is
  const ssize_t more = without_gil([&] { return ::readv(fd_, buffers, count); });
  return more > 0 ? got + more : got;
}

Py_ssize_t Descriptor::read(iovec* buffers, int count) noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  const Status quota = python::wait([&] { return scheduler.spend_quota(); });
  if (quota != Status::kOk) return raise(quota), kFailed;
  if (kind_ == Kind::kUnknown && total(buffers, count) <= kQuickBytes) {
    return read_unknown(buffers, count);
  }
  return waits() ? read_known(buffers, count, false) : kDirect;
}

Py_ssize_t Descriptor::write(iovec* buffers, int count, Py_ssize_t* written) noexcept {
  if (!waits()) return kDirect;
  Scheduler& scheduler = thread_state::scheduler();
  *written = 0;
  use_up(buffers, count, 0);  // empty ones at the beginning
  const auto turn = [&] { return scheduler.spend_quota(); };
  Patience patience(scheduler);
  for (;;) {
    const Status quota = python::wait(turn);
    if (quota != Status::kOk) return raise(quota), kFailed;
    const ssize_t put = try_write(buffers, count);
    if (put >= 0) {
      patience = Patience(scheduler);
      *written += put;
      use_up(buffers, count, static_cast<std::size_t>(put));
      if (count == 0 || put == 0 || kind_ == Kind::kOther) return *written;
    } else if (errno != EAGAIN) {
      if (*written > 0) return *written;
      return PyErr_SetFromErrno(PyExc_OSError), kFailed;
    } else {
      const Status status = wait(kWritable, patience);
      if (status == Status::kTimedOut) return *written > 0 ? *written : kWouldBlock;
      if (status == Status::kClosed && *written > 0) return *written;
      if (status != Status::kOk) return raise(status), kFailed;
    }
  }
}

}  // namespace coev::python
