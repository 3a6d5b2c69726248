#include "core/event.h"

#include <cstddef>

namespace coev {
namespace {

// Claims all before it wakes one: who queues up meanwhile, perhaps a waiter
// just woken, waits for the next time. Returns how many.
std::size_t wake_longest(WaitQueue& waiters, std::size_t most) noexcept {
  if (waiters.size() == 0) return 0;
  waiters.lock();
  Coroutine* chain = waiters.claim(most);
  waiters.unlock();
  std::size_t woken = 0;
  for (; chain != nullptr; ++woken) {
    Coroutine& waiter = *chain;
    chain = waiter.chain_next;  // once woken it may run at any time
    Scheduler::wake(waiter);
  }
  return woken;
}

}  // namespace

void Event::set() noexcept {
  set_.store(true);
  wake_longest(waiters_, SIZE_MAX);
}

Status Event::wait(Deadline deadline) noexcept {
  if (is_set()) return Status::kOk;
  if (deadline.passed()) return Status::kTimedOut;
  Scheduler& scheduler = Scheduler::get();
  Coroutine& self = scheduler.current();
  waiters_.lock();
  waiters_.push_back(self);
  if (is_set()) {
    waiters_.remove(self);
    waiters_.unlock();
    return Status::kOk;
  }
  return scheduler.park_queued(waiters_, deadline);
}

bool Semaphore::try_acquire() noexcept {
  guard_.lock();
  const bool granted = permits_ > 0;
  if (granted) --permits_;
  guard_.unlock();
  return granted;
}

Status Semaphore::acquire(Deadline deadline) noexcept {
  if (try_acquire()) return Status::kOk;
  if (deadline.passed()) return Status::kTimedOut;
  Scheduler& scheduler = Scheduler::get();
  waiters_.lock();
  if (permits_ > 0) {
    --permits_;
    waiters_.unlock();
    return Status::kOk;
  }
  return scheduler.park(waiters_, deadline);
}

void Semaphore::release(std::int64_t permits) noexcept {
  while (permits > 0) {
    waiters_.lock();
    Coroutine* heir = waiters_.claim_first();
    if (heir == nullptr) permits_ += permits;
    waiters_.unlock();
    if (heir == nullptr) return;
    --permits;
    Scheduler::wake(*heir);
  }
}

std::int64_t Semaphore::permits() noexcept {
  guard_.lock();
  const std::int64_t permits = permits_;
  guard_.unlock();
  return permits;
}

std::size_t Condition::notify(std::size_t count) noexcept { return wake_longest(waiters_, count); }

}  // namespace coev
