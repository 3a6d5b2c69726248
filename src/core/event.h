// Waiting for something other than a lock: an event, a semaphore, a condition.
//
// All three may be shared by coroutines of several OS threads. They must
// outlive every call made on them. Waiters are served longest first.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/lock.h"
#include "core/status.h"
#include "core/time.h"
#include "core/wait_queue.h"

namespace coev {

// A flag that coroutines wait for.
class Event {
 public:
  [[nodiscard]] bool is_set() const noexcept { return set_.load(); }
  // Wakes every waiter. SWITCHES: never.
  void set() noexcept;
  void clear() noexcept { set_.store(false); }
  // SWITCHES: only if not set. ERRORS: kTimedOut, kInterrupted.
  Status wait(Deadline deadline) noexcept;

 private:
  std::atomic<bool> set_{false};
  SpinLock guard_;
  WaitQueue waiters_{&guard_};
};

// A number of permits; release() hands one to the longest waiter.
class Semaphore {
 public:
  explicit Semaphore(std::int64_t permits) noexcept : permits_(permits) {}
  [[nodiscard]] bool try_acquire() noexcept;
  // SWITCHES: only if no permit is left. ERRORS: kTimedOut, kInterrupted; a
  // permit handed over before either counts, and is returned as kOk.
  Status acquire(Deadline deadline) noexcept;
  // SWITCHES: never.
  void release(std::int64_t permits = 1) noexcept;
  [[nodiscard]] std::int64_t permits() noexcept;

 private:
  SpinLock guard_;
  WaitQueue waiters_{&guard_};
  std::int64_t permits_;  // under guard_
};

// Notification between holders of one lock.
class Condition {
 public:
  // Queues up, runs `unlock`, and waits for a notification. The caller takes its
  // lock again whatever the result. SWITCHES: always.
  // ERRORS: kTimedOut, kInterrupted.
  template <typename Unlock>
  Status wait(Deadline deadline, Unlock unlock) noexcept;
  // Wakes at most `count` waiters; returns how many. SWITCHES: never.
  std::size_t notify(std::size_t count) noexcept;
  [[nodiscard]] std::size_t waiters() const noexcept { return waiters_.size(); }

 private:
  SpinLock guard_;
  WaitQueue waiters_{&guard_};
};

}  // namespace coev

#include "core/scheduler.h"

template <typename Unlock>
coev::Status coev::Condition::wait(Deadline deadline, Unlock unlock) noexcept {
  Scheduler& scheduler = Scheduler::get();
  waiters_.lock();
  waiters_.push_back(scheduler.current());
  unlock();
  return scheduler.park_queued(waiters_, deadline);
}
