#include "core/lock.h"

#include "core/parking_lot.h"
#include "core/scheduler.h"

namespace coev {
namespace {

// Queues up for `lock`, tries once more, and parks.
//
// A waiter queues up and then looks at the word once more; a releaser clears
// the word and then looks at the queue once more: one of them sees the other.
// While there are waiters the word is never cleared but handed over.
template <typename TryAcquire>
Status wait_for(const void* lock, std::uint64_t owner, Deadline deadline,
                TryAcquire try_acquire) noexcept {
  if (deadline.passed()) return Status::kTimedOut;
  Scheduler& scheduler = Scheduler::get();
  Coroutine& self = scheduler.current();
  WaitQueue& queue = parking_lot::queue_of(lock);
  self.park_key = lock;
  self.park_value = owner;
  queue.lock();
  queue.push_back(self);
  if (try_acquire()) {
    queue.remove(self);
    queue.unlock();
    return Status::kOk;
  }
  return scheduler.park_queued(queue, deadline);
}

// The waiter that a held lock goes to, taken off its queue. With none, `free`
// runs before anybody can queue up.
template <typename Free>
Coroutine* claim_heir(const void* lock, WaitQueue& queue, Free free) noexcept {
  queue.lock();
  Coroutine* heir = parking_lot::first_waiter(queue, lock);
  if (heir != nullptr) {
    queue.remove(*heir);
  } else {
    free();
  }
  queue.unlock();
  return heir;
}

}  // namespace

Status Lock::acquire(Deadline deadline) noexcept {
  if (try_acquire()) return Status::kOk;
  return wait_for(this, 0, deadline, [this] { return try_acquire(); });
}

Status Lock::release() noexcept {
  if (!locked()) return Status::kNotOwner;
  WaitQueue& queue = parking_lot::queue_of(this);
  if (queue.size() == 0) {
    if (locked_.exchange(0) == 0) return Status::kNotOwner;
    if (queue.size() == 0 || !try_acquire()) return Status::kOk;
  }
  Coroutine* heir = claim_heir(this, queue, [this] { locked_.store(0); });
  if (heir != nullptr) Scheduler::wake(*heir);
  return Status::kOk;
}

Status RecursiveLock::acquire(Owner self, Deadline deadline) noexcept {
  if (try_acquire(self)) return Status::kOk;
  return wait_for(this, self, deadline, [this, self] { return try_acquire(self); });
}

Status RecursiveLock::release(Owner self) noexcept {
  if (!owned_by(self) || count_ == 0) return Status::kNotOwner;
  if (--count_ == 0) hand_over();
  return Status::kOk;
}

void RecursiveLock::hand_over() noexcept {
  WaitQueue& queue = parking_lot::queue_of(this);
  if (queue.size() == 0) {
    owner_.store(0);
    Owner free = 0;
    constexpr Owner kNobody = ~Owner{0};  // holds it just long enough to hand it over
    if (queue.size() == 0 || !owner_.compare_exchange_strong(free, kNobody)) return;
  }
  Coroutine* heir = claim_heir(this, queue, [this] { owner_.store(0); });
  if (heir == nullptr) return;
  count_ = 1;
  owner_.store(heir->park_value);
  Scheduler::wake(*heir);
}

std::uint64_t RecursiveLock::release_all(Owner) noexcept {
  const std::uint64_t count = count_;
  count_ = 0;
  hand_over();
  return count;
}

void RecursiveLock::acquire_all(Owner self, std::uint64_t count) noexcept {
  InterruptShield shield(Scheduler::get().current());
  while (acquire(self, Deadline::never()) != Status::kOk) shield.absorb();
  count_ = count;
}

}  // namespace coev
