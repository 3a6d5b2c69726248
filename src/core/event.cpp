#include "core/event.h"

#include "core/intrusive_list.h"

namespace coev {

void Event::set() noexcept {
  set_.store(true);
  while (waiters_.size() != 0) {
    waiters_.lock();
    Coroutine* waiter = waiters_.claim_first();
    waiters_.unlock();
    if (waiter == nullptr) return;
    Scheduler::wake(*waiter);
  }
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

std::size_t Condition::notify(std::size_t count) noexcept {
  std::size_t woken = 0;
  for (; woken < count && waiters_.size() != 0; ++woken) {
    waiters_.lock();
    Coroutine* waiter = waiters_.claim_first();
    waiters_.unlock();
    if (waiter == nullptr) break;
    Scheduler::wake(*waiter);
  }
  return woken;
}

}  // namespace coev
