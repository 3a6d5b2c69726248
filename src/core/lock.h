// Locks: mutual exclusion between coroutines, of one OS thread or of several.
//
// A lock is nothing but its words, laid over memory of any origin: the fields of
// a CPython lock object serve as well as a lock made here. Zero means free.
// Waiters park in the parking lot.
//
// Fairness: release() hands the lock to the longest waiter; nobody can take it
// in between, unless another OS thread does so before the first waiter queued.
// A hand-off beats a deadline or an interrupt that comes later: acquire() then
// returns kOk, so the lock is neither lost nor held twice.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/status.h"
#include "core/time.h"

namespace coev {

// Mutual exclusion without an owner: anybody may release it.
class Lock {
 public:
  // SWITCHES: never.
  [[nodiscard]] bool try_acquire() noexcept {
    std::uint8_t free = 0;
    return locked_.compare_exchange_strong(free, 1);
  }
  // SWITCHES: only if somebody holds it. ERRORS: kTimedOut, kInterrupted.
  Status acquire(Deadline deadline) noexcept;
  // SWITCHES: never. ERRORS: kNotOwner when it is free.
  Status release() noexcept;
  [[nodiscard]] bool locked() const noexcept { return locked_.load() != 0; }

 private:
  std::atomic<std::uint8_t> locked_{0};
};

// Mutual exclusion that its owner may take again. Owners are numbers the caller
// chooses, never 0.
class RecursiveLock {
 public:
  using Owner = std::uint64_t;

  [[nodiscard]] bool try_acquire(Owner self) noexcept {
    if (owner_.load(std::memory_order_relaxed) == self) {
      ++count_;
      return true;
    }
    Owner free = 0;
    if (!owner_.compare_exchange_strong(free, self)) return false;
    count_ = 1;
    return true;
  }
  // SWITCHES: only if somebody else holds it. ERRORS: kTimedOut, kInterrupted.
  Status acquire(Owner self, Deadline deadline) noexcept;
  // SWITCHES: never. ERRORS: kNotOwner.
  Status release(Owner self) noexcept;

  // For conditions: gives the lock up whole, however often it was taken, and
  // takes it back as often. REQUIRES: owned_by(self) for release_all().
  [[nodiscard]] std::uint64_t release_all(Owner self) noexcept;
  // Cannot be interrupted: whoever waits on a condition comes back owning.
  // SWITCHES: only if somebody else holds it.
  void acquire_all(Owner self, std::uint64_t count) noexcept;

  [[nodiscard]] bool owned_by(Owner self) const noexcept { return owner_.load() == self; }
  [[nodiscard]] bool locked() const noexcept { return owner_.load() != 0; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] Owner owner() const noexcept { return owner_.load(); }
  // For a lock that somebody else began to count, from another number.
  void adjust_count(std::uint64_t by) noexcept { count_ += by; }

 private:
  void hand_over() noexcept;

  std::atomic<Owner> owner_{0};
  std::uint64_t count_ = 0;  // written by the owner only
};

}  // namespace coev
