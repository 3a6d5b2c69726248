#include "core/loop.h"

#include "core/fatal.h"

namespace coev {
namespace {

void ignore_wake(struct ev_loop*, ev_async*, int) noexcept {}
void ignore_alarm(struct ev_loop*, ev_timer*, int) noexcept {}

}  // namespace

Loop::Loop() noexcept { create(); }

Loop::~Loop() { ev_loop_destroy(loop_); }

void Loop::create() noexcept {
  loop_ = ev_loop_new(EVFLAG_NOENV);
  if (loop_ == nullptr) fatal("libev cannot create an event loop (out of file descriptors?)");
  ev_async_init(&wake_, ignore_wake);
  ev_async_start(loop_, &wake_);
  ev_init(&alarm_, ignore_alarm);
}

void Loop::recreate() noexcept {
  ev_loop_destroy(loop_);
  create();
}

void Loop::poll() noexcept { ev_run(loop_, EVRUN_NOWAIT); }

void Loop::sleep(Deadline deadline) noexcept {
  if (!deadline.is_never()) {
    ev_now_update(loop_);  // the timer counts from libev's idea of now
    const std::int64_t left = deadline.ns() - now_ns();
    ev_timer_set(&alarm_, left > 0 ? static_cast<double>(left) * 1e-9 : 0.0, 0.0);
    ev_timer_start(loop_, &alarm_);
  }
  ev_run(loop_, EVRUN_ONCE);
  ev_timer_stop(loop_, &alarm_);
}

}  // namespace coev
