// A lock for a few instructions: it guards wait queues that several OS threads
// share. Never held across a switch or a wait. Who parks may have a function run under it that
// frees what is waited for: Condition::wait() calls its caller's unlock(), and
// parking_lot::park() its caller's last look. Such a function takes no other lock.
#pragma once

#include <sched.h>

#include <atomic>

namespace coev {

class SpinLock {
 public:
  void lock() noexcept {
    for (int spins = 0; locked_.exchange(true, std::memory_order_acquire); ++spins) {
      if (spins >= kSpinsBeforeYield) sched_yield();  // its holder may have lost the CPU
    }
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

  // After fork: whoever held it does not exist in the child.
  void reset() noexcept { locked_.store(false, std::memory_order_relaxed); }

 private:
  static constexpr int kSpinsBeforeYield = 64;
  std::atomic<bool> locked_{false};
};

}  // namespace coev
