#include "core/lock.h"

#include "core/parking_lot.h"
#include "core/scheduler.h"

namespace coev {
namespace {

template <typename TakeFree, typename Take>
Status wait_for(const void* lock, Deadline deadline, TakeFree take_free, Take take) noexcept {
  if (take_free()) return Status::kOk;
  if (deadline.passed()) return Status::kTimedOut;
  bool taken = false;
  for (auto place = parking_lot::Place::kLast;; place = parking_lot::Place::kFirst) {
    const auto try_again = [&] { return taken = take_free(); };
    const Status status = parking_lot::park(lock, deadline, try_again, place);
    if (status != Status::kOk || taken || take()) return status;
    // Somebody who does not wait was quicker.
  }
}

// REQUIRES: `word` has been freed. Whoever takes it meanwhile does the same later.
template <typename Number>
void promise_to_waiter(const void* lock, LockWord<Number>& word) noexcept {
  Coroutine* heir = parking_lot::claim(lock, [&] { return word.promise(); });
  if (heir != nullptr) Scheduler::wake(*heir);
}

}  // namespace

Status Lock::acquire(Deadline deadline) noexcept {
  return wait_for(
      this, deadline, [this] { return acquire_free(); }, [this] { return try_acquire(); });
}

Status Lock::release() noexcept {
  if (!word_.free(kHeld)) return Status::kNotOwner;
  promise_to_waiter(this, word_);
  return Status::kOk;
}

Status RecursiveLock::acquire(Owner self, Deadline deadline) noexcept {
  return wait_for(
      this, deadline, [this, self] { return acquire_free(self); },
      [this, self] { return try_acquire(self); });
}

Status RecursiveLock::release(Owner self) noexcept {
  if (!owned_by(self) || count_ == 0) return Status::kNotOwner;
  if (--count_ == 0) give_up(self);
  return Status::kOk;
}

void RecursiveLock::give_up(Owner self) noexcept {
  static_cast<void>(word_.free(self));
  promise_to_waiter(this, word_);
}

std::uint64_t RecursiveLock::release_all(Owner self) noexcept {
  const std::uint64_t count = count_;
  count_ = 0;
  give_up(self);
  return count;
}

void RecursiveLock::acquire_all(Owner self, std::uint64_t count) noexcept {
  InterruptShield shield(Scheduler::get().current());
  while (acquire(self, Deadline::never()) != Status::kOk) shield.absorb();
  count_ = count;
}

}  // namespace coev
