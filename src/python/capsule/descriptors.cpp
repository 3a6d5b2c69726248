#include "core/readiness.h"
#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"
#include "python/waiting/fd_waiting.h"

namespace coev::python {
namespace {

static_assert(COEV_READABLE == kReadable && COEV_WRITABLE == kWritable && COEV_PERMIT == kPermit);
static_assert(COEV_NEVER == Deadline::never().ns());
constexpr unsigned kOfFd = kReadable | kWritable;
constexpr unsigned kKnown = kOfFd | kPermit | COEV_CLOSED;
static_assert((COEV_CLOSED & (kOfFd | kPermit)) == 0);

int wait_for_events(int fd, int events, Deadline deadline, const void* owner) noexcept {
  const auto wanted = static_cast<unsigned>(events);
  if ((wanted & kOfFd) == 0 || (wanted & ~kKnown) != 0) {
    PyErr_SetString(PyExc_ValueError,
                    "events must be COEV_READABLE, COEV_WRITABLE or both, with COEV_PERMIT and "
                    "COEV_CLOSED or without");
    return -1;
  }
  if (!can_block()) return -1;
  unsigned ready = 0;
  const unsigned asked = wanted & ~static_cast<unsigned>(COEV_CLOSED);
  const Status status = wait_for_fd(fd, asked, deadline, owner, &ready);
  if (status == Status::kOk) return static_cast<int>(ready);
  if (status == Status::kClosed && asked != wanted) return COEV_CLOSED;
  return outcome(status);
}

}  // namespace

int api_wait_fd(int fd, int events, double timeout) {
  return wait_for_events(fd, events, deadline_of(timeout), nullptr);
}

int api_wait_fd_owned(int fd, int events, double timeout, const void* owner) {
  return wait_for_events(fd, events, deadline_of(timeout), owner);
}

int api_wait_fd_until(int fd, int events, int64_t deadline_ns, const void* owner) {
  return wait_for_events(fd, events, Deadline::at(deadline_ns), owner);
}

void api_forget_fd(int fd) { Readiness::forget(fd); }

void api_disown_fd(int fd, const void* owner) {
  if (owner != nullptr) Readiness::forget(fd, owner);
}

int64_t api_deadline_after(double seconds) { return deadline_of(seconds).ns(); }

}  // namespace coev::python
