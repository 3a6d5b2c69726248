#include "core/io.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/patience.h"
#include "core/readiness.h"
#include "core/scheduler.h"

namespace coev::io {
namespace {

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

struct Request {
  int fd;
  unsigned event;
  const void* owner;
  Deadline deadline;
  KernelDeadline kernel;
};

// Tries, and waits as often as the kernel says that the call would block. With `in_vain`
// the first try would say so too.
template <typename Try>
Status until_done(Scheduler& scheduler, const Request& request, bool in_vain, std::size_t* count,
                  Try attempt) noexcept {
  Patience patience(scheduler);
  Deadline deadline = request.deadline;
  for (;; in_vain = false) {
    if (!in_vain) {
      const ssize_t moved = attempt(patience);
      if (moved >= 0) {
        *count = static_cast<std::size_t>(moved);
        return Status::kOk;
      }
      if (errno == EINTR) continue;
      if (!would_block(errno)) return Status::kSystemError;
    }
    if (request.kernel != nullptr && request.deadline.is_never() && !patience.tried()) {
      deadline = request.kernel(request.fd, request.event);
      if (deadline.ns() == 0) {
        if (in_vain) continue;
        return Status::kTimedOut;
      }
    }
    const Status status = patience.wait(request.fd, request.event, deadline, request.owner);
    if (status != Status::kOk) return status;
  }
}

}  // namespace

bool is_receiving_shut(int fd) noexcept {
  pollfd look{fd, POLLRDHUP, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLRDHUP) != 0;
}

Status receive(int fd, void* buffer, std::size_t bytes, int flags, const void* owner,
               Deadline deadline, std::size_t* count, KernelDeadline kernel) noexcept {
  Scheduler& scheduler = Scheduler::get();
  Readiness& readiness = scheduler.readiness();
  // The last read left nothing behind: a read now would only find that out.
  const bool drained = readiness.drained(fd, owner) && flags == 0 && !deadline.passed();
  if (!drained) {
    if (const Status status = scheduler.spend_quota(); status != Status::kOk) return status;
  }
  const Status status = until_done(
      scheduler, {fd, kReadable, owner, deadline, kernel}, drained, count,
      [=](const Patience& patience) {
        const ssize_t got = ::recv(fd, buffer, bytes, flags | MSG_DONTWAIT);
        if (got >= 0 || !patience.tried() || !would_block(errno) || !deadline.is_never()) {
          return got;
        }
        // Datagrams do not end: only a call that may wait is told 0 after a shutdown.
        if (is_receiving_shut(fd)) return ::recv(fd, buffer, bytes, flags);
        errno = EAGAIN;
        return got;
      });
  if (status == Status::kOk && flags == 0 && *count < bytes) readiness.set_drained(fd, owner);
  return status;
}

Status send(int fd, const void* buffer, std::size_t bytes, int flags, const void* owner,
            Deadline deadline, std::size_t* count, KernelDeadline kernel) noexcept {
  Scheduler& scheduler = Scheduler::get();
  if (const Status status = scheduler.spend_quota(); status != Status::kOk) return status;
  return until_done(
      scheduler, {fd, kWritable, owner, deadline, kernel}, false, count,
      [=](const Patience&) { return ::send(fd, buffer, bytes, flags | MSG_DONTWAIT); });
}

}  // namespace coev::io
