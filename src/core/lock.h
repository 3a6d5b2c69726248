// Locks: mutual exclusion between coroutines, of one OS thread or of several.
//
// A lock is nothing but its words, laid over memory of any origin: the fields of
// a CPython lock object serve as well as a lock made here. Zero means free.
// Waiters park in the parking lot.
//
// Fairness: release() frees the lock and promises it to the longest waiter. Until that one
// has run, nobody who would wait for the lock gets it before, but whoever looks finds it
// free: locked() is false, a second release() is an error, try_acquire() takes it. For much
// code looks at a lock that it has just released. A waiter who lost the lock to a
// try_acquire() is the longest waiter again.
// A promise beats a deadline or an interrupt that comes later: acquire() then returns kOk.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/coroutine.h"
#include "core/status.h"
#include "core/time.h"

namespace coev {

// The word that says who holds a lock. `Number` is a type of which 0 is nobody.
template <typename Number>
class LockWord {
 public:
  // For a lock without an owner: who holds it.
  static constexpr Number kSomebody = 1;

  // If the lock is free and promised to nobody.
  [[nodiscard]] bool take_free(Number owner) noexcept {
    Number seen = 0;
    return value_.compare_exchange_strong(seen, owner) ||
           (is_broken(seen) && value_.compare_exchange_strong(seen, owner));
  }
  // If nobody holds it.
  [[nodiscard]] bool take(Number owner) noexcept {
    Number seen = 0;
    while (!value_.compare_exchange_strong(seen, owner)) {
      if (!is_promise(seen)) return false;
    }
    return true;
  }
  // False if `owner` does not hold it.
  [[nodiscard]] bool free(Number owner) noexcept {
    return value_.compare_exchange_strong(owner, 0);
  }
  // Only while it is free.
  [[nodiscard]] bool promise() noexcept {
    Number seen = 0;
    return value_.compare_exchange_strong(seen, promise_of(generation()));
  }
  // 0 for nobody.
  [[nodiscard]] Number owner() const noexcept {
    const Number value = value_.load();
    return is_promise(value) ? 0 : value;
  }
  [[nodiscard]] bool is_owner(Number owner) const noexcept {
    return value_.load(std::memory_order_relaxed) == owner;
  }

 private:
  static std::uint32_t generation() noexcept {
    return fork_generation::current.load(std::memory_order_relaxed);
  }
  // To a waiter that only an ancestor of this process has.
  static bool is_broken(Number value) noexcept {
    return is_promise(value) && value != promise_of(generation());
  }
  // A byte is even if it is a promise: CPython asks for the lowest bit, too. Owners are
  // addresses, or small.
  static constexpr bool kIsByte = sizeof(Number) == 1;
  static constexpr Number kPromised = static_cast<Number>(0xFFFFFFFF00000000);
  static bool is_promise(Number value) noexcept {
    return kIsByte ? value != 0 && value % 2 == 0 : (value & kPromised) == kPromised;
  }
  static Number promise_of(std::uint32_t generation) noexcept {
    constexpr std::uint32_t kTold = 127;
    return kIsByte ? static_cast<Number>(2 * (generation % kTold + 1)) : kPromised | generation;
  }

  std::atomic<Number> value_{0};
};

// Mutual exclusion without an owner: anybody may release it.
class Lock {
 public:
  // If nobody holds it, also before who waits for it. SWITCHES: never.
  [[nodiscard]] bool try_acquire() noexcept { return word_.take(kHeld); }
  // What acquire() does first: takes it if it is free and nobody waits. SWITCHES: never.
  [[nodiscard]] bool acquire_free() noexcept { return word_.take_free(kHeld); }
  // SWITCHES: only if somebody holds it or waits. ERRORS: kTimedOut, kInterrupted.
  Status acquire(Deadline deadline) noexcept;
  // SWITCHES: never. ERRORS: kNotOwner when it is free.
  Status release() noexcept;
  [[nodiscard]] bool locked() const noexcept { return word_.owner() != 0; }

 private:
  static constexpr std::uint8_t kHeld = LockWord<std::uint8_t>::kSomebody;
  LockWord<std::uint8_t> word_;
};

// Mutual exclusion that its owner may take again. Owners are numbers the caller
// chooses, never 0.
class RecursiveLock {
 public:
  using Owner = std::uint64_t;

  // As Lock's.
  [[nodiscard]] bool try_acquire(Owner self) noexcept { return take(self, &LockWord<Owner>::take); }
  [[nodiscard]] bool acquire_free(Owner self) noexcept {
    return take(self, &LockWord<Owner>::take_free);
  }
  // SWITCHES: only if somebody else holds it or waits. ERRORS: kTimedOut, kInterrupted.
  Status acquire(Owner self, Deadline deadline) noexcept;
  // SWITCHES: never. ERRORS: kNotOwner.
  Status release(Owner self) noexcept;

  // For conditions: gives the lock up whole, however often it was taken, and
  // takes it back as often. REQUIRES: owned_by(self) for release_all().
  [[nodiscard]] std::uint64_t release_all(Owner self) noexcept;
  // Cannot be interrupted: whoever waits on a condition comes back owning.
  // SWITCHES: only if somebody else holds it.
  void acquire_all(Owner self, std::uint64_t count) noexcept;

  [[nodiscard]] bool owned_by(Owner self) const noexcept { return word_.is_owner(self); }
  [[nodiscard]] bool locked() const noexcept { return owner() != 0; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] Owner owner() const noexcept { return word_.owner(); }
  // For a lock that somebody else began to count, from another number.
  void adjust_count(std::uint64_t by) noexcept { count_ += by; }

 private:
  template <typename Take>
  [[nodiscard]] bool take(Owner self, Take from) noexcept {
    if (owned_by(self)) {
      ++count_;
      return true;
    }
    if (!(word_.*from)(self)) return false;
    count_ = 1;
    return true;
  }
  void give_up(Owner self) noexcept;

  LockWord<Owner> word_;
  std::uint64_t count_ = 0;  // written by the owner only
};

}  // namespace coev
