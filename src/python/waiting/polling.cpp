#include "python/waiting/polling.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/readiness.h"
#include "python/cpython/thread_state.h"

namespace coev::python {
namespace {

// Descriptors that are waited for because of events which libev does not know, such
// as POLLPRI: the kernel's own set of them is readable when one of them is ready.
class EventSet {
 public:
  EventSet() = default;
  ~EventSet() {
    if (fd_ < 0) return;
    Readiness::forget(fd_);
    close(fd_);
  }
  EventSet(const EventSet&) = delete;
  EventSet& operator=(const EventSet&) = delete;

  // False where the kernel has no room for it.
  bool add(const pollfd& wanted) noexcept {
    if (fd_ < 0) fd_ = epoll_create1(EPOLL_CLOEXEC);
    if (fd_ < 0) return false;
    epoll_event event{};
    event.events = static_cast<std::uint16_t>(wanted.events);
    event.data.fd = wanted.fd;
    if (epoll_ctl(fd_, EPOLL_CTL_ADD, wanted.fd, &event) == 0) return true;
    return errno == EPERM;  // a regular file has none of these events
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

constexpr unsigned kReadEvents = POLLIN | POLLRDNORM;
constexpr unsigned kWriteEvents = POLLOUT | POLLWRNORM;
constexpr unsigned kAlwaysTold = POLLERR | POLLHUP | POLLNVAL;

// What libev should look for; nothing where it cannot tell all of them.
unsigned plain_events(short events) noexcept {
  const unsigned asked = static_cast<unsigned short>(events) & ~kAlwaysTold;
  if ((asked & ~(kReadEvents | kWriteEvents)) != 0) return 0;
  return ((asked & kReadEvents) != 0 ? kReadable : 0) |
         ((asked & kWriteEvents) != 0 ? kWritable : 0);
}

}  // namespace

Status park_for(const std::vector<pollfd>& wanted, Deadline deadline) noexcept {
  constexpr std::int64_t kGlanceNs = 10'000'000;
  EventSet others;
  std::vector<Watch> watches(wanted.size() + 1);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    watches[i].fd = wanted[i].fd;
    watches[i].events = plain_events(wanted[i].events);
    if (watches[i].events == 0 && !others.add(wanted[i])) {
      deadline = std::min(deadline, Deadline::after(kGlanceNs));
    }
  }
  watches.back().fd = others.fd();
  watches.back().events = kReadable;
  const std::size_t count = wanted.size() + (others.fd() < 0 ? 0 : 1);
  Readiness& readiness = thread_state::scheduler().readiness();
  return readiness.wait_any({watches.data(), count}, deadline);
}

}  // namespace coev::python
