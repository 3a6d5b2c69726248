#include "python/waiting/fd_waiting.h"

#include <poll.h>

#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"

namespace coev::python {
namespace {

// Asks the kernel itself: beside a busy run queue the scheduler has not always polled when a
// deadline passes, and a wait without time would miss what is ready.
Status look(int fd, unsigned events, unsigned* ready) noexcept {
  pollfd asked{fd, 0, 0};
  if ((events & kReadable) != 0) asked.events |= POLLIN;
  if ((events & kWritable) != 0) asked.events |= POLLOUT;
  if (::poll(&asked, 1, 0) <= 0) return Status::kTimedOut;
  if ((asked.revents & POLLNVAL) != 0) return Status::kClosed;
  unsigned seen = 0;
  if ((asked.revents & (POLLIN | POLLERR | POLLHUP)) != 0) seen |= events & kReadable;
  if ((asked.revents & (POLLOUT | POLLERR | POLLHUP)) != 0) seen |= events & kWritable;
  if (ready != nullptr) *ready = seen;
  return seen != 0 ? Status::kOk : Status::kTimedOut;
}

}  // namespace

Status wait_for_fd(int fd, unsigned events, Deadline deadline, const void* owner,
                   unsigned* ready) noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  Readiness& readiness = scheduler.readiness();
  scheduler.run_messages();  // what another OS thread has closed before is not of this wait
  const std::uint16_t forgotten = readiness.forgotten(fd);
  const Status status = wait([&] {
    if (readiness.forgotten(fd) != forgotten) return Status::kClosed;
    return readiness.wait(fd, events, deadline, owner, ready);
  });
  return status == Status::kTimedOut ? look(fd, events, ready) : status;
}

}  // namespace coev::python
