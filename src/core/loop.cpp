#include "core/loop.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "core/fatal.h"

namespace coev {
namespace {

// libev waits for whole milliseconds, rounded up. A deadline that is nearer than this
// has a clock of its own, at the price of two system calls; a farther one is waited
// for in two steps.
constexpr std::int64_t kNearNs = 3'000'000;
constexpr std::int64_t kRoundingNs = 1'000'000;
// The clock never strikes sooner than this: what is due meanwhile wakes together.
constexpr std::int64_t kShortestNs = 50'000;

void ignore_wake(struct ev_loop*, ev_async*, int) noexcept {}
void ignore_alarm(struct ev_loop*, ev_timer*, int) noexcept {}

}  // namespace

Loop::Loop() noexcept { create(); }

Loop::~Loop() { destroy(); }

void Loop::create() noexcept {
  loop_ = ev_loop_new(EVFLAG_NOENV);
  if (loop_ == nullptr) fatal("libev cannot create an event loop (out of file descriptors?)");
  ev_async_init(&wake_, ignore_wake);
  ev_async_start(loop_, &wake_);
  ev_init(&alarm_, ignore_alarm);
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  ev_io_init(&clock_, clock_struck, fd, EV_READ);
  if (fd >= 0) ev_io_start(loop_, &clock_);
}

void Loop::destroy() noexcept {
  ev_loop_destroy(loop_);
  if (clock_.fd >= 0) close(clock_.fd);  // after a fork it is the parent's, too
}

void Loop::recreate() noexcept {
  destroy();
  create();
}

void Loop::poll() noexcept { ev_run(loop_, EVRUN_NOWAIT); }

void Loop::sleep(Deadline deadline) noexcept {
  const std::int64_t now = now_ns();
  const std::int64_t left = deadline.is_never() ? INT64_MAX : deadline.ns() - now;
  if (left <= 0) {
    poll();
    return;
  }
  if (left < kNearNs && set_clock(std::max(deadline.ns(), now + kShortestNs))) {
    ev_run(loop_, EVRUN_ONCE);
    return;
  }
  if (!deadline.is_never()) {
    ev_now_update(loop_);  // the timer counts from libev's idea of now
    const std::int64_t step = left < kNearNs ? left : left - kRoundingNs;
    ev_timer_set(&alarm_, static_cast<double>(step) * 1e-9, 0.0);
    ev_timer_start(loop_, &alarm_);
  }
  ev_run(loop_, EVRUN_ONCE);
  ev_timer_stop(loop_, &alarm_);
}

// False when there is none, or it has been closed.
bool Loop::set_clock(std::int64_t ns) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  itimerspec time{};
  time.it_value = {ns / kSecond, ns % kSecond};
  return timerfd_settime(clock_.fd, TFD_TIMER_ABSTIME, &time, nullptr) == 0;
}

void Loop::clock_struck(struct ev_loop*, ev_io* clock, int) noexcept {
  std::uint64_t times = 0;
  while (read(clock->fd, &times, sizeof times) < 0 && errno == EINTR) {
  }
}

}  // namespace coev
