// The event loop: libev, reduced to what the scheduler asks of it.
//
// Callbacks never switch: they only mark coroutines ready. The loop is not
// libev's default one, so it takes no signal and reaps no child.
//
// Its descriptors are the program's to close, as all are, and there may be none left when it
// is made. It is then without libev: nothing is told of descriptors, and sleep() takes short
// steps, until renew() has made libev's loop anew.
// THREAD: the owning scheduler's, except wake() and lose().
#pragma once

#include <ev.h>

#include <atomic>
#include <cstdint>

#include "core/libev_calls.h"
#include "core/time.h"

namespace coev {

class Loop {
 public:
  Loop() noexcept;
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Looks at the kernel once and calls back what is ready, without waiting.
  void poll() noexcept;
  // Waits for the first event, for wake() or for `deadline`, and calls back what is ready.
  void sleep(Deadline deadline) noexcept;

  // Ends a sleep(), or the next one. THREAD: any; also from a signal handler.
  void wake() noexcept;

  // nullptr while there is none.
  [[nodiscard]] struct ev_loop* native() const noexcept { return loop_; }

  // False when a descriptor is missing: renew() is due.
  [[nodiscard]] bool is_whole() const noexcept {
    return !lost_.load(std::memory_order_relaxed) && !calls_.queue_failed && loop_ != nullptr;
  }
  // Makes what is missing anew; nobody is watched then. Whether native() is another one.
  [[nodiscard]] bool renew() noexcept;

  // The program is about to close `fd`, which may be one of the loop's. THREAD: any.
  void lose(int fd) noexcept;
  void lose_range(int low, int high) noexcept;  // `high` not included

  // After fork: a new kernel queue without any watcher.
  void recreate() noexcept;

 private:
  void create() noexcept;
  void destroy() noexcept;
  void run(int flags) noexcept;

  struct ev_loop* loop_ = nullptr;
  LibevCalls calls_;
  ev_timer alarm_;  // for far deadlines
  ev_io clock_;     // a timerfd, for near ones; -1 if there is none
  ev_io bell_;      // another timerfd, which ends a sleep

  std::int64_t bell_seen_ns_ = 0;  // when the bell was last known to be there

  std::atomic<int> clock_fd_{-1};  // -1: none, or lost
  std::atomic<int> bell_fd_{-1};
  std::atomic<int> queue_fd_{-1};
  std::atomic<bool> lost_{false};
  std::atomic<bool> rung_{false};      // since the last sleep began
  std::atomic<bool> sleeping_{false};  // only then ringing takes a system call
  std::atomic<unsigned> ringing_{0};   // inside wake()
};

}  // namespace coev
