// A wait queue: the coroutines parked for one reason, longest waiter first.
//
// A queue that coroutines of several OS threads share has a guard, and every
// access happens under it. A queue of one scheduler has none. Whoever unlinks a
// coroutine, and nobody else, decides with what Status it wakes.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/coroutine.h"
#include "core/intrusive_list.h"
#include "core/spin_lock.h"

namespace coev {

class WaitQueue {
 public:
  explicit WaitQueue(SpinLock* shared_guard = nullptr) noexcept : guard_(shared_guard) {}

  void lock() noexcept {
    if (guard_ != nullptr) guard_->lock();
  }
  void unlock() noexcept {
    if (guard_ != nullptr) guard_->unlock();
  }

  // REQUIRES, all below: the guard is held, if there is one.
  void push_back(Coroutine& coroutine) noexcept {
    coroutine.queue = this;
    waiters_.push_back(coroutine);
    size_.fetch_add(1);
  }
  void remove(Coroutine& coroutine) noexcept {
    coroutine.unlink();
    size_.fetch_sub(1);
  }
  [[nodiscard]] Coroutine* first() noexcept { return waiters_.first(); }
  [[nodiscard]] Coroutine* next(Coroutine& coroutine) noexcept { return waiters_.next(coroutine); }

  // The longest waiter, taken off; nullptr if there is none.
  [[nodiscard]] Coroutine* claim_first() noexcept {
    Coroutine* coroutine = waiters_.first();
    if (coroutine != nullptr) remove(*coroutine);
    return coroutine;
  }

  // Readable without the guard; sequentially consistent, so that "publish,
  // then look for waiters" and "queue up, then look again" cannot both miss.
  [[nodiscard]] std::uint32_t size() const noexcept { return size_.load(); }

  // After fork: forgets all waiters without touching them.
  void clear() noexcept {
    waiters_.clear();
    size_.store(0);
    if (guard_ != nullptr) guard_->reset();
  }

 private:
  IntrusiveList<Coroutine> waiters_;  // owns none
  std::atomic<std::uint32_t> size_{0};
  SpinLock* const guard_;  // not owned
};

}  // namespace coev
