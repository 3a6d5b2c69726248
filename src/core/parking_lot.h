// The parking lot: wait queues for objects too small to hold one.
//
// A lock is a byte or a word anywhere in memory, perhaps inside an object of
// CPython's own; its waiters are found here by its address. Buckets are shared
// by addresses that hash alike, between all OS threads.
//
// Who waits queues up and then looks once more at what it waits for; who wakes changes that
// first and then looks for waiters: one of the two sees the other.
#pragma once

#include "core/scheduler.h"
#include "core/status.h"
#include "core/time.h"
#include "core/wait_queue.h"

namespace coev::parking_lot {

// Among those who wait at one address. kFirst is for who has waited before, and in vain.
enum class Place { kLast, kFirst };

// The queue that waiters at `address` share with others.
[[nodiscard]] WaitQueue& queue_of(const void* address) noexcept;

// REQUIRES: `queue` is queue_of(address) and locked.
[[nodiscard]] Coroutine* first_waiter(WaitQueue& queue, const void* address) noexcept;

// Queues up at `address`, calls `is_settled`, and if that says false waits to be claimed and
// woken. `is_settled` runs under the queue's spin lock: a few instructions, no other wait.
// SWITCHES: unless settled. ERRORS: kTimedOut, kInterrupted, or the waker's Status.
template <typename IsSettled>
Status park(const void* address, Deadline deadline, IsSettled is_settled,
            Place place = Place::kLast) noexcept {
  Scheduler& scheduler = Scheduler::get();
  Coroutine& self = scheduler.current();
  self.park_key = address;
  WaitQueue& queue = queue_of(address);
  queue.lock();
  place == Place::kLast ? queue.push_back(self) : queue.push_front(self);
  if (is_settled()) {
    queue.remove(self);
    queue.unlock();
    return Status::kOk;
  }
  return scheduler.park_queued(queue, deadline);
}

// For whoever changes what is waited for under a lock that wakers hold as well.
inline Status park(const void* address, Deadline deadline) noexcept {
  return park(address, deadline, [] { return false; });
}

// The longest waiter at `address`, taken off its queue for the caller to wake; nullptr if there
// is none, or `may_claim`, called under the queue's spin lock if there is one, says false.
// SWITCHES: never. THREAD: any.
template <typename MayClaim>
[[nodiscard]] Coroutine* claim(const void* address, MayClaim may_claim) noexcept {
  WaitQueue& queue = queue_of(address);
  if (queue.size() == 0) [[likely]]
    return nullptr;
  queue.lock();
  Coroutine* waiter = first_waiter(queue, address);
  if (waiter != nullptr && !may_claim()) waiter = nullptr;
  if (waiter != nullptr) queue.remove(*waiter);
  queue.unlock();
  return waiter;
}
[[nodiscard]] inline Coroutine* claim(const void* address) noexcept {
  return claim(address, [] { return true; });
}

// Wakes the longest waiter at `address`, if there is one. SWITCHES: never. THREAD: any.
inline void wake_one(const void* address) noexcept {
  if (Coroutine* waiter = claim(address)) Scheduler::wake(*waiter);
}

}  // namespace coev::parking_lot
