#include "core/scheduler.h"

#include <cxxabi.h>
#include <pthread.h>

#include <cstring>
#include <new>

#include "core/fatal.h"
#include "core/offload.h"
#include "core/parking_lot.h"
#include "core/registry.h"

namespace coev {
namespace {

bool accept_slot(Coroutine&) noexcept { return true; }
void ignore_switch(Coroutine&, Coroutine&) noexcept {}
void ignore_finish(Coroutine&) noexcept {}
void ignore_scheduler(Scheduler&) noexcept {}
void exit_process() noexcept { std::_Exit(0); }

Hooks g_hooks{accept_slot,      ignore_switch,    ignore_finish, ignore_scheduler,
              ignore_scheduler, ignore_scheduler, exit_process};
std::atomic<std::size_t> g_stack_bytes{StackPool::kDefaultBytes};
std::atomic<std::size_t> g_pool_ceiling{10'000};
std::atomic<std::uint64_t> g_next_id{1};

// initial-exec: one instruction to reach, also from a shared library.
thread_local Scheduler* t_scheduler __attribute__((tls_model("initial-exec"))) = nullptr;

pthread_key_t exit_key(void (*destructor)(void*)) noexcept {
  static const pthread_key_t key = [destructor] {
    pthread_key_t made;
    if (pthread_key_create(&made, destructor) != 0) fatal("no thread-specific key is left");
    return made;
  }();
  return key;
}

}  // namespace

void Scheduler::install_hooks(const Hooks& hooks) noexcept { g_hooks = hooks; }
void Scheduler::set_stack_bytes(std::size_t bytes) noexcept { g_stack_bytes = bytes; }
std::size_t Scheduler::stack_bytes() noexcept { return g_stack_bytes; }
void Scheduler::set_pool_ceiling(std::size_t slots) noexcept { g_pool_ceiling = slots; }
std::size_t Scheduler::pool_ceiling() noexcept { return g_pool_ceiling; }
std::size_t Scheduler::count() noexcept { return Registry::instance().size(); }
Scheduler* Scheduler::find() noexcept { return t_scheduler; }

Scheduler& Scheduler::get() noexcept {
  if (t_scheduler != nullptr) [[likely]] return *t_scheduler;
  static const int installed = pthread_atfork(nullptr, nullptr, after_fork_in_child);
  static_cast<void>(installed);
  t_scheduler = new Scheduler;
  Registry::instance().add(*t_scheduler);
  // Key destructors run when a thread ends, but not when the process exits.
  pthread_setspecific(exit_key([](void* s) { on_thread_exit(s); }), t_scheduler);
  return *t_scheduler;
}

Scheduler::Scheduler() noexcept
    : current_(&native_),
      exception_globals_(abi::__cxa_get_globals()),
      main_(&native_),
      readiness_(*this, loop_) {
  adopt(native_);
  native_.state = CoroutineState::kRunning;
  native_.id = g_next_id.fetch_add(1);
  sanitizer::adopt_native_stack(native_.fiber);
}

void Scheduler::adopt(Coroutine& coroutine) noexcept {
  coroutine.scheduler = this;
  coroutine.deadline.coroutine = coroutine.wake.coroutine = &coroutine;
  coroutine.deadline.expired = deadline_expired;
  coroutine.wake.run = deliver_wake;
}

Scheduler::~Scheduler() {
  for (Coroutine* slot = all_slots_; slot != nullptr;) {
    Coroutine* next = slot->all_next;
    sanitizer::destroy(slot->fiber);
    slot->~Coroutine();
    slot = next;
  }
}

// A thread that leaves suspended coroutines behind leaves their stacks too:
// somebody may still point into them.
void Scheduler::on_thread_exit(void* scheduler) noexcept {
  auto* self = static_cast<Scheduler*>(scheduler);
  Registry::instance().remove(*self);
  t_scheduler = nullptr;
  if (self->pooled_ == self->stacks_.size() && self->main_ == &self->native_) delete self;
}

// --- slots ----------------------------------------------------------------------

Coroutine* Scheduler::make_slot() noexcept {
  const Stack stack = stacks_.allocate(stack_bytes());
  if (stack.low == nullptr) return nullptr;
  constexpr std::size_t kAlignment = 64;
  const auto place = (reinterpret_cast<std::uintptr_t>(stack.top()) - sizeof(Coroutine)) &
                     ~(kAlignment - 1);
  auto* slot = new (reinterpret_cast<void*>(place)) Coroutine;
  const std::size_t usable = place - reinterpret_cast<std::uintptr_t>(stack.low);
  adopt(*slot);
  slot->stack = stack;
  sanitizer::create(slot->fiber, stack.low, usable);
  slot->context.prepare(stack.low, usable, run_slot, slot);
  if (!g_hooks.slot_created(*slot)) {
    sanitizer::destroy(slot->fiber);
    slot->~Coroutine();
    stacks_.release(stack);
    return nullptr;
  }
  slot->all_next = all_slots_;
  all_slots_ = slot;
  ++stats_.slots_created;
  return slot;
}

Coroutine* Scheduler::take_slot() noexcept {
  if (pool_ == nullptr) return make_slot();
  Coroutine* slot = pool_;
  pool_ = slot->pool_next;
  --pooled_;
  return slot;
}

Coroutine* Scheduler::spawn(Coroutine::Entry entry, void* argument, void* owner) noexcept {
  Coroutine* slot = take_slot();
  if (slot == nullptr) return nullptr;
  slot->entry = entry;
  slot->argument = argument;
  slot->owner = owner;
  slot->id = g_next_id.fetch_add(1, std::memory_order_relaxed);
  ++stats_.spawned;
  make_ready(*slot, Status::kOk);
  return slot;
}

void Scheduler::run_slot(void* argument) noexcept {
  auto& slot = *static_cast<Coroutine*>(argument);
  Scheduler& self = *slot.scheduler;
  sanitizer::after_switch(slot.fiber, self.switched_from_->fiber);
  for (;;) {
    slot.entry(slot.argument);
    slot.locals.destroy_values();
    g_hooks.finished(slot);
    self.finish(slot);
  }
}

// Puts the running slot into the pool and leaves it: nobody takes it before the
// switch, for nothing below spawns.
void Scheduler::finish(Coroutine& coroutine) noexcept {
  if (&coroutine == main_ && orphaned_main_) g_hooks.orphan_main_finished();
  ++stats_.finished;
  coroutine.id = 0;
  coroutine.owner = nullptr;
  coroutine.interrupt_pending = false;
  coroutine.permit.store(false, std::memory_order_relaxed);
  coroutine.exception_globals = {};
  coroutine.state = CoroutineState::kFinished;
  StackPool::trim(coroutine.stack, pooled_ >= pool_ceiling() ? StackPool::kLeastKeptBytes
                                                              : StackPool::kKeptBytes);
  coroutine.pool_next = pool_;
  pool_ = &coroutine;
  ++pooled_;
  switch_to(next_ready());
}

// --- switching ------------------------------------------------------------------

void Scheduler::switch_to(Coroutine& next) noexcept {
  Coroutine& previous = *current_;
  ++stats_.switches;
  operations_ = 0;
  next.state = CoroutineState::kRunning;
  std::memcpy(&previous.exception_globals, exception_globals_, sizeof(ExceptionGlobals));
  std::memcpy(exception_globals_, &next.exception_globals, sizeof(ExceptionGlobals));
  // From here on current() is the target, also for other OS threads that the
  // hook lets run.
  current_ = &next;
  switched_from_ = &previous;
  g_hooks.switching(previous, next);
  sanitizer::before_switch(previous.fiber, next.fiber);
  Context::switch_between(previous.context, next.context);
  sanitizer::after_switch(previous.fiber, previous.scheduler->switched_from_->fiber);
}

Status Scheduler::park_queued(WaitQueue& queue, Deadline deadline, Coroutine* next) noexcept {
  Coroutine& self = *current_;
  if (self.interrupt_pending) {
    queue.remove(self);
    queue.unlock();
    ++stats_.interrupts;
    return Status::kInterrupted;
  }
  self.state = CoroutineState::kParked;
  queue.unlock();
  ++stats_.parks;
  if (!deadline.is_never() && !timers_.arm(self.deadline, deadline)) fatal("no memory for a timer");
  if (next == nullptr) next = &next_ready();
  if (next != &self) {
    switch_to(*next);
  } else {
    self.state = CoroutineState::kRunning;
    operations_ = 0;
  }
  timers_.disarm(self.deadline);
  return self.wake_status;
}

Status Scheduler::yield() noexcept {
  Coroutine& self = *current_;
  if (self.interrupt_pending) return Status::kInterrupted;
  make_ready(self, Status::kOk);
  Coroutine& next = next_ready();
  if (&next != &self) {
    switch_to(next);
  } else {
    self.state = CoroutineState::kRunning;
    operations_ = 0;
  }
  return self.interrupt_pending ? Status::kInterrupted : Status::kOk;
}

bool Scheduler::awaits_transfer(const Coroutine& target) const noexcept {
  return target.state == CoroutineState::kParked && target.queue == &transfers_ && target.linked();
}

bool Scheduler::can_transfer_to(const Coroutine& target) const noexcept {
  return awaits_transfer(target) || target.state == CoroutineState::kReady;
}

Status Scheduler::transfer_to(Coroutine& target, Deadline deadline) noexcept {
  if (current_->interrupt_pending) return Status::kInterrupted;
  if (target.state == CoroutineState::kReady) {
    leave_run_queue(target);
  } else {
    transfers_.remove(target);
    target.wake_status = Status::kOk;
  }
  return park(transfers_, deadline, &target);
}

Status Scheduler::park_for_permit(Deadline deadline) noexcept {
  Coroutine& self = *current_;
  while (!self.permit.exchange(false)) {
    const Status status = park(permits_, deadline);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

// --- the run queue --------------------------------------------------------------

void Scheduler::make_ready(Coroutine& coroutine, Status status) noexcept {
  coroutine.wake_status = status;
  coroutine.state = CoroutineState::kReady;
  run_queue_.push_back(coroutine);
  ++ready_count_;
}

void Scheduler::leave_run_queue(Coroutine& coroutine) noexcept {
  coroutine.unlink();
  --ready_count_;
}

Coroutine& Scheduler::next_ready() noexcept {
  while (turn_left_ == 0 || run_queue_.empty()) start_turn();
  --turn_left_;
  --ready_count_;
  return run_queue_.pop_front();
}

void Scheduler::start_turn() noexcept {
  ++stats_.turns;
  run_messages();
  const std::int64_t now = now_ns();
  if (run_queue_.empty()) {
    wait_for_work();
  } else {
    if (now - last_poll_ns_ >= kPollIntervalNs) poll(now);
    timers_.expire(now);
  }
  if (signalled_.load(std::memory_order_relaxed) && signalled_.exchange(false)) {
    g_hooks.signalled(*this);
  }
  turn_left_ = ready_count_;
}

void Scheduler::poll(std::int64_t now) noexcept {
  ++stats_.polls;
  last_poll_ns_ = now;
  loop_.poll();
}

// Returns when somebody is ready, or when a signal or another OS thread wants
// something; the caller looks.
void Scheduler::wait_for_work() noexcept {
  std::int64_t now = now_ns();
  timers_.expire(now);
  if (!run_queue_.empty()) return;
  poll(now);  // under load there is work already: no need to give up the GIL
  run_messages();
  if (!run_queue_.empty() || signalled_.load()) return;
  if (virtual_time::enabled() && !timers_.next().is_never()) {
    virtual_time::advance_to(timers_.next().ns());
  } else {
    ++stats_.sleeps;
    g_hooks.before_sleep(*this);
    loop_.sleep(timers_.next());
    g_hooks.after_sleep(*this);
    run_messages();
  }
  now = now_ns();
  last_poll_ns_ = now;
  timers_.expire(now);
}

// --- waking ---------------------------------------------------------------------

void Scheduler::wake(Coroutine& coroutine, Status status) noexcept {
  Scheduler& home = *coroutine.scheduler;
  if (&home == t_scheduler) [[likely]] {
    home.make_ready(coroutine, status);
  } else {
    coroutine.wake_status = status;
    home.post(coroutine.wake);
  }
}

void Scheduler::deliver_wake(Message& message) noexcept {
  Coroutine& coroutine = *static_cast<WakeMessage&>(message).coroutine;
  coroutine.scheduler->make_ready(coroutine, coroutine.wake_status);
}

// Takes a parked coroutine off its queue, unless a waker has claimed it.
bool Scheduler::withdraw(Coroutine& coroutine) noexcept {
  if (coroutine.state != CoroutineState::kParked) return false;
  WaitQueue& queue = *coroutine.queue;
  queue.lock();
  const bool linked = coroutine.linked();
  if (linked) queue.remove(coroutine);
  queue.unlock();
  return linked;
}

void Scheduler::deadline_expired(Timer& timer) noexcept {
  Coroutine& coroutine = *static_cast<CoroutineTimer&>(timer).coroutine;
  if (!withdraw(coroutine)) return;
  ++coroutine.scheduler->stats_.timeouts;
  wake(coroutine, Status::kTimedOut);
}

void Scheduler::interrupt(Coroutine& coroutine) noexcept {
  coroutine.interrupt_pending = true;
  if (!withdraw(coroutine)) return;
  ++stats_.interrupts;
  wake(coroutine, Status::kInterrupted);
}

namespace {

struct UnparkMessage : Message {
  Coroutine* coroutine;
};

}  // namespace

void Scheduler::unpark(Coroutine& coroutine) noexcept {
  Scheduler& home = *coroutine.scheduler;
  coroutine.permit.store(true);
  if (&home != t_scheduler) {
    auto* message = new (std::nothrow) UnparkMessage;
    if (message == nullptr) fatal("no memory to wake a coroutine of another thread");
    message->coroutine = &coroutine;
    message->run = [](Message& m) noexcept {
      auto& self = static_cast<UnparkMessage&>(m);
      unpark(*self.coroutine);
      delete &self;
    };
    home.post(*message);
    return;
  }
  if (coroutine.state == CoroutineState::kParked && coroutine.queue == &home.permits_ &&
      withdraw(coroutine)) {
    wake(coroutine);
  }
}

void Scheduler::post(Message& message) noexcept {
  Message* head = inbox_.load(std::memory_order_relaxed);
  do {
    message.next = head;
  } while (!inbox_.compare_exchange_weak(head, &message, std::memory_order_release,
                                         std::memory_order_relaxed));
  loop_.wake();
}

void Scheduler::drain_inbox() noexcept {
  Message* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    Message& message = *oldest;
    oldest = message.next;  // running the message may free it
    message.run(message);
  }
}

void Scheduler::wake_from_signal() noexcept {
  signalled_.store(true);
  loop_.wake();
}

// --- fork -----------------------------------------------------------------------

void Scheduler::after_fork_in_child() noexcept {
  parking_lot::forget_all();
  offload::forget_threads();
  Registry::instance().reset(t_scheduler);
  if (t_scheduler != nullptr) t_scheduler->forget_everybody_else();
}

// The other coroutines' stacks stay mapped and untouched: the interpreter still
// looks at their thread states while it deletes them.
void Scheduler::forget_everybody_else() noexcept {
  run_queue_.clear();
  ready_count_ = turn_left_ = 0;
  timers_.clear();
  sleepers_.clear();
  transfers_.clear();
  permits_.clear();
  inbox_.store(nullptr);
  pool_ = all_slots_ = nullptr;
  pooled_ = 0;
  loop_.recreate();
  readiness_.reset();
  orphaned_main_ = orphaned_main_ || current_ != main_;
  main_ = current_;
  if (main_ != &native_) {
    main_->all_next = nullptr;
    all_slots_ = main_;
  }
}

}  // namespace coev
