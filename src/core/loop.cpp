#include "core/loop.h"

#include <poll.h>
#include <sched.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace coev {
namespace {

// libev waits for whole milliseconds, rounded up. A deadline that is nearer than this
// has a clock of its own, at the price of two system calls; a farther one is waited
// for in two steps.
constexpr std::int64_t kNearNs = 3'000'000;
constexpr std::int64_t kRoundingNs = 1'000'000;
// A sleep lasts at least this long: all deadlines that pass meanwhile wake together, and a
// timer in the kernel that is set for now or before would cost the two system calls for nothing.
constexpr std::int64_t kShortestNs = 50'000;
// What is long over: such a clock strikes at once.
constexpr std::int64_t kPastNs = 1;
// How long the bell is believed to be there without a look at it.
constexpr std::int64_t kTrustNs = 100'000'000;
// Without descriptors nobody can end a sleep: it is short.
constexpr std::int64_t kBlindNs = 2'000'000;
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

void ignore_alarm(struct ev_loop*, ev_timer*, int) noexcept {}

int make_clock() noexcept { return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC); }

// Has the clock strike at `ns`, or not any more at 0. False if it is none: the program may
// have closed it, and the number be another file's, of which nothing is read or written so.
bool set(int clock, std::int64_t ns) noexcept {
  itimerspec time{};
  time.it_value = {ns / kNsPerSecond, ns % kNsPerSecond};
  return clock >= 0 && timerfd_settime(clock, TFD_TIMER_ABSTIME, &time, nullptr) == 0;
}

void silence(struct ev_loop*, ev_io* clock, int) noexcept { static_cast<void>(set(clock->fd, 0)); }

}  // namespace

Loop::Loop() noexcept {
  LibevCalls::install();
  create();
}

Loop::~Loop() { destroy(); }

void Loop::create() noexcept {
  calls_ = {};
  lost_.store(false);
  rung_.store(false);
  ev_init(&alarm_, ignore_alarm);
  const int bell = make_clock();
  if (bell < 0) return;
  const LibevScope scope(calls_);
  loop_ = ev_loop_new(EVFLAG_NOENV | unsigned{EVBACKEND_EPOLL});
  if (loop_ == nullptr) {
    close(bell);
    return;
  }
  queue_fd_.store(calls_.queue);
  ev_io_init(&bell_, silence, bell, EV_READ);
  ev_io_start(loop_, &bell_);
  bell_fd_.store(bell);
  const int clock = make_clock();
  ev_io_init(&clock_, silence, clock, EV_READ);
  if (clock >= 0) ev_io_start(loop_, &clock_);
  clock_fd_.store(clock);
}

// What the program has closed is not closed again: it may be another file by now.
void Loop::destroy() noexcept {
  const int bell = bell_fd_.exchange(-1);
  while (ringing_.load() != 0) sched_yield();
  if (bell >= 0) close(bell);
  const int clock = clock_fd_.exchange(-1);
  if (clock >= 0) close(clock);
  if (loop_ == nullptr) return;
  calls_.keeps_queue = queue_fd_.exchange(-1) < 0 || calls_.queue_failed;
  const LibevScope scope(calls_);
  ev_loop_destroy(loop_);
  loop_ = nullptr;
}

void Loop::recreate() noexcept {
  ringing_.store(0);  // who rang lives on in the parent only
  sleeping_.store(false);
  destroy();
  create();
}

bool Loop::renew() noexcept {
  if (is_whole()) return false;
  destroy();
  create();
  return loop_ != nullptr;
}

// A sleep ends before its descriptors are closed: afterwards nothing could end it.
void Loop::lose(int fd) noexcept {
  if (fd < 0 || (fd != clock_fd_.load() && fd != queue_fd_.load() && fd != bell_fd_.load())) return;
  lost_.store(true);
  wake();
  while (sleeping_.load()) sched_yield();
  for (std::atomic<int>* each : {&clock_fd_, &queue_fd_, &bell_fd_}) {
    int expected = fd;
    each->compare_exchange_strong(expected, -1);
  }
  while (ringing_.load() != 0) sched_yield();
}

void Loop::lose_range(int low, int high) noexcept {
  for (const int fd : {clock_fd_.load(), queue_fd_.load(), bell_fd_.load()}) {
    if (fd >= low && fd < high) lose(fd);  // none is -1
  }
}

void Loop::wake() noexcept {
  ringing_.fetch_add(1);
  if (!rung_.exchange(true) && sleeping_.load()) {
    const int error = errno;
    static_cast<void>(set(bell_fd_.load(), kPastNs));
    errno = error;
  }
  ringing_.fetch_sub(1);
}

void Loop::run(int flags) noexcept {
  const LibevScope scope(calls_);
  ev_run(loop_, flags);
}

void Loop::poll() noexcept {
  if (loop_ != nullptr) run(EVRUN_NOWAIT);
}

void Loop::sleep(Deadline deadline) noexcept {
  const std::int64_t now = now_ns();
  const std::int64_t left = deadline.is_never() ? INT64_MAX : deadline.ns() - now;
  if (left <= 0) {
    poll();
    return;
  }
  if (!is_whole()) {
    const timespec step{0, std::min(left, kBlindNs)};
    nanosleep(&step, nullptr);
    return;
  }
  // The bell may have been closed by somebody who told nobody. A look at it is a system call,
  // so a busy program does without for some time, and sleeps only as long as that.
  const bool trusts = now >= bell_seen_ns_ && now - bell_seen_ns_ < kTrustNs;
  if (left >= kNearNs && !trusts) {
    if (!set(bell_fd_.load(), 0)) {
      lost_.store(true);
      bell_fd_.store(-1);
      return;
    }
    bell_seen_ns_ = now;
  }
  const std::int64_t longest = trusts ? bell_seen_ns_ + kTrustNs - now : INT64_MAX;
  sleeping_.store(true);
  if (rung_.load()) {
    run(EVRUN_NOWAIT);
  } else if (left < kNearNs && set(clock_fd_.load(), std::max(deadline.ns(), now + kShortestNs))) {
    run(EVRUN_ONCE);
  } else {
    const std::int64_t step = std::min(left < kNearNs ? left : left - kRoundingNs, longest);
    if (!deadline.is_never() || trusts) {
      ev_now_update(loop_);  // the timer counts from libev's idea of now
      ev_timer_set(&alarm_, static_cast<double>(step) * 1e-9, 0.0);
      ev_timer_start(loop_, &alarm_);
    }
    run(EVRUN_ONCE);
    ev_timer_stop(loop_, &alarm_);
  }
  sleeping_.store(false);
  rung_.store(false);
}

}  // namespace coev
