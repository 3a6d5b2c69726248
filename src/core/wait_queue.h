// A wait queue: the coroutines parked for one reason, longest waiter first.
//
// A queue that coroutines of several OS threads share has a guard, and every
// access happens under it. A queue of one scheduler has none. Whoever unlinks a
// coroutine, and nobody else, decides with what Status it wakes.
//
// A queue that a fork copied is empty in the child, and its guard free: the
// waiters, and perhaps the holder, exist in the parent only.
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
    forget_if_forked();
    if (guard_ != nullptr) guard_->lock();
  }
  void unlock() noexcept {
    if (guard_ != nullptr) guard_->unlock();
  }

  // REQUIRES, all below: the guard is held, if there is one.
  void push_back(Coroutine& coroutine) noexcept {
    forget_if_forked();
    waiters_.push_back(coroutine);
    count_in(coroutine);
  }
  // For one that was claimed in vain: it is the longest waiter again.
  void push_front(Coroutine& coroutine) noexcept {
    forget_if_forked();
    waiters_.push_front(coroutine);
    count_in(coroutine);
  }
  void remove(Coroutine& coroutine) noexcept {
    coroutine.unlink();
    size_.store(size_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  }
  [[nodiscard]] Coroutine* first() noexcept {
    forget_if_forked();
    return waiters_.first();
  }
  [[nodiscard]] Coroutine* next(Coroutine& coroutine) noexcept { return waiters_.next(coroutine); }

  // The longest waiter, taken off; nullptr if there is none.
  [[nodiscard]] Coroutine* claim_first() noexcept {
    Coroutine* coroutine = first();
    if (coroutine != nullptr) remove(*coroutine);
    return coroutine;
  }

  // The `most` longest waiters, taken off and chained by Coroutine::chain_next.
  [[nodiscard]] Coroutine* claim(std::size_t most) noexcept {
    Coroutine* chain = nullptr;
    for (Coroutine** end = &chain; most > 0; --most) {
      Coroutine* coroutine = claim_first();
      *end = coroutine;
      if (coroutine == nullptr) break;
      coroutine->chain_next = nullptr;
      end = &coroutine->chain_next;
    }
    return chain;
  }

  // Readable without the guard; sequentially consistent as it grows, so that "publish,
  // then look for waiters" and "queue up, then look again" cannot both miss.
  [[nodiscard]] std::uint32_t size() const noexcept { return forked() ? 0 : size_.load(); }

 private:
  void count_in(Coroutine& coroutine) noexcept {
    coroutine.queue = this;
    const std::uint32_t size = size_.load(std::memory_order_relaxed) + 1;
    // Nobody else writes; a fence costs as much as the rest of a switch.
    size_.store(size, guard_ == nullptr ? std::memory_order_relaxed : std::memory_order_seq_cst);
  }
  [[nodiscard]] bool forked() const noexcept {
    return generation_.load(std::memory_order_acquire) !=
           fork_generation::current.load(std::memory_order_relaxed);
  }
  void forget_if_forked() noexcept {
    if (forked()) [[unlikely]]
      forget();
  }
  // Touches no waiter: their memory belongs to the parent's past.
  void forget() noexcept {
    fork_generation::guard.lock();
    if (forked()) {  // else another thread of the child came first
      waiters_.clear();
      size_.store(0);
      if (guard_ != nullptr) guard_->reset();
      generation_.store(fork_generation::current.load(), std::memory_order_release);
    }
    fork_generation::guard.unlock();
  }

  IntrusiveList<Coroutine> waiters_;  // owns none
  std::atomic<std::uint32_t> size_{0};
  std::atomic<std::uint32_t> generation_{fork_generation::current.load()};
  SpinLock* const guard_;  // not owned
};

}  // namespace coev
