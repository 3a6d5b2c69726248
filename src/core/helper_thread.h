// Helper thread: a real thread of its own for one call that may block in the
// kernel for ever, while a coroutine waits for the end of it.
//
// Unlike a job of the offload pool it takes no thread from others, and it can be
// given up at any time: the call is then cancelled (pthread_cancel), so nothing
// is left behind. It should be a cancellation point of POSIX.
//
// Lives on the stack of who waits.
#pragma once

#include <pthread.h>
#include <signal.h>

#include "core/event.h"
#include "core/status.h"
#include "core/time.h"

namespace coev {

class HelperThread {
 public:
  // Cancellation cuts it off: its destructors do not run.
  using Function = void (*)(void* argument);

  HelperThread() = default;
  ~HelperThread() { end(); }
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;

  // Runs function(argument), once, with `signals` blocked.
  // SWITCHES: never. ERRORS: kNoMemory (no thread can be started).
  Status start(Function function, void* argument, const sigset_t& signals) noexcept;

  // Waits until the call has returned; may be repeated after an error.
  // SWITCHES: only if it has not. ERRORS: kTimedOut, kInterrupted.
  Status wait(Deadline deadline) noexcept { return returned_.wait(deadline); }

  // Cancels the call if it has not returned; afterwards nothing runs any more.
  // Blocks the OS thread for as long as cancelling takes. SWITCHES: never.
  void end() noexcept;

 private:
  static void* run(void* self);

  Function function_ = nullptr;
  void* argument_ = nullptr;
  pthread_t thread_{};
  bool started_ = false;
  Event returned_;
};

}  // namespace coev
