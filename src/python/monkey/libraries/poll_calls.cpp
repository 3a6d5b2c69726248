// poll, ppoll, select, pselect, epoll_wait, epoll_pwait.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/native_wait.h"
#include "python/waiting/polling.h"

namespace coev::python::libraries {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kNsPerUs = 1'000;

Deadline after_ms(int timeout) noexcept {
  return timeout < 0 ? Deadline::never() : Deadline::after(timeout * kNsPerMs);
}

Deadline after(const timespec* timeout) noexcept {
  if (timeout == nullptr) return Deadline::never();
  if (timeout->tv_sec > 9'000'000'000) return Deadline::never();
  return Deadline::after(timeout->tv_sec * kNsPerSecond + timeout->tv_nsec);
}

bool is_zero(const timespec* timeout) noexcept {
  return timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
}

// Each fd once, with all that is wanted of it.
std::vector<pollfd> merged(const pollfd* fds, nfds_t count) noexcept {
  std::vector<pollfd> wanted;
  std::copy_if(fds, fds + count, std::back_inserter(wanted),
               [](const pollfd& each) { return each.fd >= 0; });
  std::sort(wanted.begin(), wanted.end(),
            [](const pollfd& a, const pollfd& b) { return a.fd < b.fd; });
  std::size_t kept = 0;
  for (const pollfd& each : wanted) {
    if (kept > 0 && wanted[kept - 1].fd == each.fd) {
      wanted[kept - 1].events = static_cast<short>(wanted[kept - 1].events | each.events);
    } else {
      wanted[kept++] = each;
    }
  }
  wanted.resize(kept);
  return wanted;
}

// Waits until `look` finds something (not 0), or the deadline.
// ERRORS: -1 with errno ECANCELED, or what `look` says.
template <typename Look>
int wait_and_look(const std::vector<pollfd>& wanted, Deadline deadline, Look look) noexcept {
  for (unsigned in_vain = 0;; ++in_vain) {
    Status status = wait_natively([&] { return park_for(wanted, deadline); });
    if (status == Status::kInterrupted) return -1;
    const int found = look();
    if (found != 0 || deadline.passed()) return found;
    // The kernel says ready, and the call does not find it: no reason to spin.
    if (in_vain > 2 && pause(in_vain) == Status::kInterrupted) return -1;
  }
}

int poll_until(pollfd* fds, nfds_t count, Deadline deadline) noexcept {
  return wait_and_look(merged(fds, count), deadline, [&] { return ::poll(fds, count, 0); });
}

int our_poll(pollfd* fds, nfds_t count, int timeout) {
  const int found = ::poll(fds, count, 0);
  if (found != 0 || timeout == 0) return found;
  if (!may_wait_here()) return ::poll(fds, count, timeout);
  return poll_until(fds, count, after_ms(timeout));
}

int our_poll_chk(pollfd* fds, nfds_t count, int timeout, std::size_t bytes) {
  if (bytes / sizeof(pollfd) < count) __builtin_trap();  // as a fortified program does
  return our_poll(fds, count, timeout);
}

int our_ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  const int found = ::poll(fds, count, 0);
  if (found != 0 || is_zero(timeout)) return found;
  // A mask is for the wait of an OS thread, and shall let signals in that end it.
  if (mask != nullptr || !may_wait_here()) return ::ppoll(fds, count, timeout, mask);
  return poll_until(fds, count, after(timeout));
}

int our_ppoll_chk(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask,
                  std::size_t bytes) {
  if (bytes / sizeof(pollfd) < count) __builtin_trap();
  return our_ppoll(fds, count, timeout, mask);
}

// The three sets of select(2), which the call overwrites.
class Sets {
 public:
  Sets(int count, fd_set* read, fd_set* write, fd_set* except) noexcept
      : count_(count), given_{read, write, except} {
    for (int i = 0; i < 3; ++i) {
      if (given_[i] != nullptr) std::memcpy(&wanted_[i], given_[i], bytes());
    }
  }

  int look() noexcept {
    for (int i = 0; i < 3; ++i) {
      if (given_[i] != nullptr) std::memcpy(given_[i], &wanted_[i], bytes());
    }
    timeval zero{};
    return ::select(count_, given_[0], given_[1], given_[2], &zero);
  }

  void restore() noexcept {
    for (int i = 0; i < 3; ++i) {
      if (given_[i] != nullptr) std::memcpy(given_[i], &wanted_[i], bytes());
    }
  }

  [[nodiscard]] std::vector<pollfd> descriptors() const noexcept {
    constexpr short kEvents[] = {POLLIN, POLLOUT, POLLPRI};
    std::vector<pollfd> all;
    for (int fd = 0; fd < count_; ++fd) {
      short events = 0;
      for (int i = 0; i < 3; ++i) {
        if (given_[i] != nullptr && FD_ISSET(fd, &wanted_[i])) {
          events = static_cast<short>(events | kEvents[i]);
        }
      }
      if (events != 0) all.push_back({fd, events, 0});
    }
    return all;
  }

 private:
  [[nodiscard]] std::size_t bytes() const noexcept {
    const auto words = (static_cast<std::size_t>(count_) + NFDBITS - 1) / NFDBITS;
    return std::min(words * sizeof(fd_mask), sizeof(fd_set));
  }

  int count_;
  fd_set* given_[3];
  fd_set wanted_[3] = {};
};

int select_until(int count, fd_set* read, fd_set* write, fd_set* except, Deadline deadline,
                 bool* waited) noexcept {
  *waited = false;
  if (count < 0 || count > FD_SETSIZE) return 0;
  Sets sets(count, read, write, except);
  const int found = sets.look();
  if (found != 0 || deadline.passed()) {
    *waited = true;
    return found;
  }
  if (!may_wait_here()) {
    sets.restore();
    return 0;
  }
  *waited = true;
  return wait_and_look(sets.descriptors(), deadline, [&] { return sets.look(); });
}

int our_select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* timeout) {
  Deadline deadline = Deadline::never();
  if (timeout != nullptr) {
    const timespec exact{timeout->tv_sec, timeout->tv_usec * kNsPerUs};
    deadline = after(&exact);
  }
  bool waited = false;
  const int found = select_until(count, read, write, except, deadline, &waited);
  if (!waited) return ::select(count, read, write, except, timeout);
  // Linux tells what is left of the time.
  if (timeout != nullptr && !deadline.is_never()) {
    const std::int64_t left = std::max<std::int64_t>(0, deadline.ns() - now_ns());
    timeout->tv_sec = left / kNsPerSecond;
    timeout->tv_usec = left % kNsPerSecond / kNsPerUs;
  }
  return found;
}

int our_pselect(int count, fd_set* read, fd_set* write, fd_set* except, const timespec* timeout,
                const sigset_t* mask) {
  bool waited = false;
  const int found =
      mask != nullptr ? 0 : select_until(count, read, write, except, after(timeout), &waited);
  return waited ? found : ::pselect(count, read, write, except, timeout, mask);
}

int our_epoll_wait(int fd, epoll_event* events, int most, int timeout) {
  const int found = ::epoll_wait(fd, events, most, 0);
  if (found != 0 || timeout == 0) return found;
  if (!may_wait_here()) return ::epoll_wait(fd, events, most, timeout);
  const std::vector<pollfd> wanted{{fd, POLLIN, 0}};
  return wait_and_look(wanted, after_ms(timeout),
                       [&] { return ::epoll_wait(fd, events, most, 0); });
}

int our_epoll_pwait(int fd, epoll_event* events, int most, int timeout, const sigset_t* mask) {
  if (mask != nullptr) return ::epoll_pwait(fd, events, most, timeout, mask);
  return our_epoll_wait(fd, events, most, timeout);
}

}  // namespace

void add_poll_calls(std::vector<ImportedFunction>& functions) noexcept {
  functions.insert(
      functions.end(),
      {imported("poll", our_poll), imported("__poll_chk", our_poll_chk),
       imported("ppoll", our_ppoll), imported("__ppoll_chk", our_ppoll_chk),
       imported("select", our_select), imported("pselect", our_pselect),
       imported("epoll_wait", our_epoll_wait), imported("epoll_pwait", our_epoll_pwait)});
}

}  // namespace coev::python::libraries
