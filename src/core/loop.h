// The event loop: libev, reduced to what the scheduler asks of it.
//
// Callbacks never switch: they only mark coroutines ready. The loop is not
// libev's default one, so it takes no signal and reaps no child.
// THREAD: the owning scheduler's, except wake().
#pragma once

#include <ev.h>

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
  // The same, but waits for the first event, for wake(), or for `deadline`.
  void sleep(Deadline deadline) noexcept;

  // Ends a sleep(), or the next one. THREAD: any; also from a signal handler.
  void wake() noexcept { ev_async_send(loop_, &wake_); }

  [[nodiscard]] struct ev_loop* native() const noexcept { return loop_; }

  // After fork: a new kernel queue without any watcher.
  void recreate() noexcept;

 private:
  void create() noexcept;
  void destroy() noexcept;
  [[nodiscard]] bool set_clock(std::int64_t ns) noexcept;
  static void clock_struck(struct ev_loop* loop, ev_io* clock, int events) noexcept;

  struct ev_loop* loop_ = nullptr;
  ev_async wake_;
  ev_timer alarm_;  // for far deadlines
  ev_io clock_;     // a timerfd, for near ones; -1 if there is none
};

}  // namespace coev
