// The scheduler: decides which coroutine runs next, and nothing else.
//
// One per OS thread; coroutines never migrate. There is no hub: a coroutine
// that parks picks the next one and switches to it directly, or runs the event
// loop on its own stack until somebody is ready, perhaps itself.
//
// THREAD: every method on the owning OS thread, but for those marked otherwise. What is static
// and has no mark may be called on any.
//
// Between two turns, on the stack of whoever parked last, timers, messages and hooks only mark
// and wake: nothing of the language that is bound may be called there, for that coroutine may
// be in the middle of anything, with an error set and its stack nearly used up.
//
// Invariant: a coroutine is in exactly one place, linked by its ListLink.
//     kReady -> run_queue_    kRunning -> current()
//     kParked -> one WaitQueue, or claimed by a waker whose message is under way
//     kFinished -> the slot pool
//
// Fairness: FIFO; what becomes ready in this turn runs in the next, but for a few
// that somebody waits for (transfer_to(), yield_to_newest()). The kernel is polled
// between turns, at most every kPollIntervalNs, so a busy run queue starves neither
// I/O nor timers; spend_quota() makes a coroutine whose I/O never blocks give way.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/coroutine.h"
#include "core/intrusive_list.h"
#include "core/look_ahead.h"
#include "core/loop.h"
#include "core/readiness.h"
#include "core/slot_pool.h"
#include "core/stack.h"
#include "core/stats.h"
#include "core/status.h"
#include "core/time.h"
#include "core/timer.h"
#include "core/wait_queue.h"

namespace coev {

// What a language binding adds. All are called on the scheduler's OS thread.
struct Hooks {
  // A slot was made and will run for the first time; false: no memory.
  bool (*slot_created)(Coroutine& slot) noexcept;
  // Just before the stack changes. Must not switch.
  void (*switching)(Coroutine& from, Coroutine& to) noexcept;
  // A coroutine's function returned; called on its own stack. May switch.
  void (*finished)(Coroutine& coroutine) noexcept;
  // Around a wait in the kernel (the GIL).
  void (*before_sleep)(Scheduler& scheduler) noexcept;
  void (*after_sleep)(Scheduler& scheduler) noexcept;
  // wake_from_signal() was called; runs between two turns. Must not switch.
  void (*signalled)(Scheduler& scheduler) noexcept;
  // The coroutine that survived a fork as the main one has returned.
  void (*orphan_main_finished)() noexcept;
};

class Scheduler {
 public:
  // This OS thread's scheduler; the first call makes it. nullptr from find() if
  // there is none yet.
  static Scheduler& get() noexcept;
  [[nodiscard]] static Scheduler* find() noexcept;
  // Schedulers alive in the process. THREAD: any.
  [[nodiscard]] static std::size_t count() noexcept;
  // A number of the running coroutine that nobody else of the process ever has, the
  // same in a forked child; never 0. Without a scheduler: of the OS thread, whose main
  // coroutine has it later. Allocates nothing. THREAD: any.
  [[nodiscard]] static std::uint64_t current_id() noexcept;
  // Once, before the first scheduler is made.
  static void install_hooks(const Hooks& hooks) noexcept;

  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // --- coroutines -----------------------------------------------------------
  // Starts entry(argument) in the next turn. `owner` is stored as is.
  // SWITCHES: never. ERRORS: nullptr when there is no memory for a stack.
  [[nodiscard]] Coroutine* spawn(Coroutine::Entry entry, void* argument, void* owner) noexcept;

  [[nodiscard]] Coroutine& current() const noexcept { return *current_; }
  [[nodiscard]] Coroutine& main() noexcept { return *main_; }
  // The newest slot ever made; the others follow by all_next.
  [[nodiscard]] Coroutine* all_slots() noexcept { return all_slots_; }

  // --- blocking ---------------------------------------------------------------
  // Suspends the current coroutine on `queue` until wake() or `deadline`; runs
  // `next` if given, else whoever is ready.
  // REQUIRES: the guard of `queue` is held, if it has one; it is released.
  // SWITCHES: always, unless the coroutine itself is the next one ready.
  // ERRORS: kTimedOut, kInterrupted, or the waker's Status. On every return the
  // coroutine is off `queue`: the caller has nothing to undo. An interrupt that
  // comes after a wake is left pending.
  Status park(WaitQueue& queue, Deadline deadline, Coroutine* next = nullptr) noexcept {
    queue.push_back(*current_);
    return park_queued(queue, deadline, next);
  }
  // park() for a caller that has put current() on `queue` itself, to look at
  // something once more before it sleeps.
  Status park_queued(WaitQueue& queue, Deadline deadline, Coroutine* next = nullptr) noexcept;

  // Lets every ready coroutine run once. SWITCHES: only if one is ready.
  // ERRORS: kInterrupted.
  Status yield() noexcept;

  // Lets the coroutine that was spawned last run until it gives way, before all others, and goes
  // on: for a caller that waits until its child has begun. When that has happened often in this
  // turn, or has taken long, it is yield() instead, because I/O, timers and the other
  // coroutines would have to wait. SWITCHES: unless nobody is ready. ERRORS: kInterrupted.
  Status yield_to_newest() noexcept;

  // A deadline of 0 lets every ready coroutine run once, without the timers.
  // ERRORS: kTimedOut, in time; kInterrupted.
  Status sleep_until(Deadline deadline) noexcept {
    if (deadline.ns() != 0) return park(sleepers_, deadline);
    const Status status = yield();
    return status == Status::kOk ? Status::kTimedOut : status;
  }

  // Suspends the current coroutine until somebody transfers to it and runs
  // `target` at once. REQUIRES: can_transfer_to(target).
  Status transfer_to(Coroutine& target, Deadline deadline) noexcept;
  // transfer_to() without a target: whoever is ready runs.
  Status await_transfer(Deadline deadline) noexcept { return park(transfers_, deadline); }
  [[nodiscard]] bool can_transfer_to(const Coroutine& target) const noexcept;
  [[nodiscard]] bool awaits_transfer(const Coroutine& target) const noexcept;

  // Counts a transfer, which lets nobody run but its target, and yields when there
  // were many since the last turn, so that I/O, timers and the others have theirs.
  // REQUIRES: the target is looked at afterwards, because others may run in between.
  // SWITCHES: only if the quota is spent. ERRORS: kInterrupted.
  Status spend_transfer() noexcept {
    if (++transfers_in_turn_ < kTransferQuota) [[likely]]
      return Status::kOk;
    ++stats_.quota_yields;
    return yield();
  }

  // Waits for unpark(), which may have come before. Readiness::wait() can, too.
  // SWITCHES: only if it has not.
  Status park_for_permit(Deadline deadline) noexcept;

  // Counts an operation that is about to be tried without parking, and yields when the
  // coroutine has done many of them in a row. An interrupt counts at once, because a
  // coroutine whose operations never wait, and which others preempt, would never see it.
  // SWITCHES: only if the quota is spent. ERRORS: kInterrupted.
  Status spend_quota() noexcept {
    if (++operations_ < kOperationQuota && !current_->interrupt_pending) [[likely]]
      return Status::kOk;
    ++stats_.quota_yields;
    return yield();
  }

  // For a coroutine that computes: yields when it has done so for kSliceNs since the first
  // call after it came to run. Costs a look at the clock.
  // SWITCHES: only then, if anybody is ready. ERRORS: kInterrupted.
  Status give_way_if_due() noexcept;

  // --- waking -------------------------------------------------------------------
  // Makes a coroutine ready that the caller claimed from its wait queue.
  // SWITCHES: never. THREAD: any.
  static void wake(Coroutine& coroutine, Status status = Status::kOk) noexcept;
  // Gives the permit that park_for_permit() and a wait for kPermit wait for, if the
  // slot still runs the function that had `id`. THREAD: any.
  static void unpark(Coroutine& coroutine, std::uint64_t id) noexcept;
  // unpark() for whoever cannot know that the coroutine's OS thread, and with it the
  // slot, still exists: `home` is the serial() of its scheduler. THREAD: any.
  static void unpark(std::uint64_t home, Coroutine& coroutine, std::uint64_t id) noexcept;

  // Ends the coroutine's wait, or its next one, with kInterrupted. The flag
  // stays until clear_interrupt(). Does nothing to a finished one.
  // SWITCHES: never.
  void interrupt(Coroutine& coroutine) noexcept;
  // The same, if the slot still runs the function that had `id`. THREAD: any.
  static void interrupt(Coroutine& coroutine, std::uint64_t id) noexcept;
  static void clear_interrupt(Coroutine& coroutine) noexcept {
    coroutine.interrupt_pending = false;
  }

  // THREAD: any. The message must live until it has run, which may be never while that OS
  // thread is busy elsewhere: so there must be as many of them as there are receivers.
  void post(Message& message) noexcept;
  // THREAD: any; safe in a signal handler.
  void wake_from_signal() noexcept;
  // Runs what other OS threads have posted so far. SWITCHES: never.
  void run_messages() noexcept {
    if (inbox_.load(std::memory_order_acquire) != nullptr) [[unlikely]]
      drain_inbox();
  }

  // --- parts ------------------------------------------------------------------
  // A number that no other scheduler of the process ever has.
  [[nodiscard]] std::uint64_t serial() const noexcept { return native_.id; }
  [[nodiscard]] pthread_t os_thread() const noexcept { return os_thread_; }  // THREAD: any
  [[nodiscard]] TimerHeap& timers() noexcept { return timers_; }
  [[nodiscard]] Readiness& readiness() noexcept { return readiness_; }
  [[nodiscard]] Loop& loop() noexcept { return loop_; }
  [[nodiscard]] const Stats& stats() const noexcept { return stats_; }
  [[nodiscard]] Stats& stats() noexcept { return stats_; }
  [[nodiscard]] std::size_t ready_count() const noexcept { return ready_count_; }
  [[nodiscard]] std::size_t pooled_count() const noexcept { return pool_.size(); }
  [[nodiscard]] std::size_t stack_count() const noexcept { return stacks_.size(); }

  // Stack size of slots made from now on; and how many finished slots keep the
  // memory they touched.
  static void set_stack_bytes(std::size_t bytes) noexcept;
  [[nodiscard]] static std::size_t stack_bytes() noexcept;
  static void set_pool_ceiling(std::size_t slots) noexcept;
  [[nodiscard]] static std::size_t pool_ceiling() noexcept;

  // Called in the child of a fork: only the forking coroutine lives on, and is
  // the main one from now on. Installed by pthread_atfork.
  static void after_fork_in_child() noexcept;

 private:
  static constexpr std::int64_t kPollIntervalNs = 50'000;
  static constexpr unsigned kOperationQuota = 32;
  static constexpr unsigned kTransferQuota = 256;  // in a turn: they take less than kPollIntervalNs
  static constexpr std::int64_t kStartsNs = 1'000'000;  // what yield_to_newest() may take in a turn
  static constexpr std::int64_t kSliceNs = 1'000'000;   // until give_way_if_due() yields
  // As many transfers as one yield_to_newest() counts for: kOperationQuota of them fit in a turn.
  static constexpr unsigned kTransfersOfStart = kTransferQuota / kOperationQuota;

  Scheduler() noexcept;
  ~Scheduler();
  static void on_thread_exit(void* scheduler) noexcept;
  static void deadline_expired(Timer& timer) noexcept;
  static void deliver_wake(Message& message) noexcept;
  static void deliver_notice(Message& message) noexcept;
  static void notify(Coroutine& coroutine, std::uint64_t id, bool Notice::*what) noexcept;
  static void run_slot(void* slot) noexcept;

  void adopt(Coroutine& coroutine) noexcept;
  [[nodiscard]] Coroutine* make_slot(std::size_t stack_bytes) noexcept;
  [[nodiscard]] Coroutine* take_slot() noexcept;
  void finish(Coroutine& coroutine) noexcept;
  void make_ready(Coroutine& coroutine, Status status) noexcept;
  void leave_run_queue(Coroutine& coroutine) noexcept;
  void begin_slice() noexcept {
    operations_ = 0;
    slice_began_ns_ = 0;
  }
  static bool withdraw(Coroutine& coroutine) noexcept;
  void switch_to(Coroutine& next) noexcept;
  [[nodiscard]] Coroutine& next_ready() noexcept;
  void start_turn() noexcept;
  void wait_for_work() noexcept;
  [[nodiscard]] bool poll_is_due(std::int64_t now) const noexcept;
  void poll(std::int64_t now) noexcept;
  void mend_loop() noexcept;
  void drain_inbox() noexcept;
  void forget_everybody_else() noexcept;

  // Hot: touched by every switch.
  Coroutine* current_;
  void* exception_globals_;  // libstdc++'s words for this OS thread
  IntrusiveList<Coroutine> run_queue_;
  std::size_t ready_count_ = 0;
  std::size_t turn_left_ = 0;        // how many of the run queue belong to this turn
  unsigned operations_ = 0;          // since the current coroutine last gave way
  unsigned transfers_in_turn_ = 0;   // who went before the others
  std::int64_t first_start_ns_ = 0;  // of those in this turn; 0 for none
  std::int64_t slice_began_ns_ = 0;  // seen by give_way_if_due(); 0: not yet
  Coroutine* switched_from_ = nullptr;
  LookAhead look_ahead_;
  Stats stats_;

  SlotPool pool_;
  Coroutine* all_slots_ = nullptr;
  Coroutine* newest_ = nullptr;  // spawned last in this turn
  std::int64_t last_poll_ns_ = 0;
  std::atomic<Message*> inbox_{nullptr};
  std::atomic<unsigned> posting_{0};  // OS threads inside post()
  std::atomic<bool> signalled_{false};
  bool orphaned_main_ = false;  // main_ runs in a slot whose creator a fork left behind

  TimerHeap timers_;
  Loop loop_;
  WaitQueue sleepers_;   // only a deadline or an interrupt ends their wait
  WaitQueue transfers_;  // suspended in transfer_to()
  WaitQueue permits_;    // suspended in park_for_permit()
  StackPool stacks_;
  const pthread_t os_thread_ = pthread_self();
  Coroutine native_;  // stands for the OS thread's own stack
  Coroutine* main_;
  Readiness readiness_;
};

// Keeps interrupts from ending the waits of a block that has to finish, such as
// taking a condition's lock back. They are pending again afterwards.
class InterruptShield {
 public:
  explicit InterruptShield(Coroutine& coroutine) noexcept : coroutine_(coroutine) { absorb(); }
  ~InterruptShield() { coroutine_.interrupt_pending = coroutine_.interrupt_pending || absorbed_; }
  InterruptShield(const InterruptShield&) = delete;
  InterruptShield& operator=(const InterruptShield&) = delete;

  // Call when a wait inside the block was interrupted, then wait again.
  void absorb() noexcept {
    absorbed_ = absorbed_ || coroutine_.interrupt_pending;
    coroutine_.interrupt_pending = false;
  }

 private:
  Coroutine& coroutine_;
  bool absorbed_ = false;
};

}  // namespace coev
