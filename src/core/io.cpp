#include "core/io.h"

#include <sys/socket.h>

#include <cerrno>

#include "core/readiness.h"
#include "core/scheduler.h"

namespace coev::io {
namespace {

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

// Tries, and waits for `event` as often as the kernel says it would block.
template <typename Try>
Status until_done(Scheduler& scheduler, int fd, unsigned event, const void* owner,
                  Deadline deadline, std::size_t* count, Try attempt) noexcept {
  for (;;) {
    const ssize_t moved = attempt();
    if (moved >= 0) {
      *count = static_cast<std::size_t>(moved);
      return Status::kOk;
    }
    if (errno == EINTR) continue;
    if (!would_block(errno)) return Status::kSystemError;
    const Status status = scheduler.readiness().wait(fd, event, deadline, owner, nullptr);
    if (status != Status::kOk) return status;
  }
}

}  // namespace

Status receive(int fd, void* buffer, std::size_t bytes, int flags, const void* owner,
               Deadline deadline, std::size_t* count) noexcept {
  Scheduler& scheduler = Scheduler::get();
  Readiness& readiness = scheduler.readiness();
  if (readiness.drained(fd, owner) && flags == 0 && !deadline.passed()) {
    // The last read left nothing behind: a read now would only find that out.
    const Status status = readiness.wait(fd, kReadable, deadline, owner, nullptr);
    if (status != Status::kOk) return status;
  } else if (const Status status = scheduler.spend_quota(); status != Status::kOk) {
    return status;
  }
  const Status status = until_done(scheduler, fd, kReadable, owner, deadline, count,
                                   [=] { return ::recv(fd, buffer, bytes, flags | MSG_DONTWAIT); });
  if (status == Status::kOk && flags == 0 && *count < bytes) readiness.set_drained(fd, owner);
  return status;
}

Status send(int fd, const void* buffer, std::size_t bytes, int flags, const void* owner,
            Deadline deadline, std::size_t* count) noexcept {
  Scheduler& scheduler = Scheduler::get();
  if (const Status status = scheduler.spend_quota(); status != Status::kOk) return status;
  return until_done(scheduler, fd, kWritable, owner, deadline, count,
                    [=] { return ::send(fd, buffer, bytes, flags | MSG_DONTWAIT); });
}

}  // namespace coev::io
