#include "core/scheduler.h"

#include <cxxabi.h>
#include <pthread.h>

#include <cstring>
#include <new>
#include <utility>

#include "core/fatal.h"
#include "core/offload.h"
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

thread_local std::uint64_t t_native_id __attribute__((tls_model("initial-exec"))) = 0;

std::uint64_t native_id() noexcept {
  if (t_native_id == 0) t_native_id = g_next_id.fetch_add(1);
  return t_native_id;
}

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

std::uint64_t Scheduler::current_id() noexcept {
  if (t_scheduler == nullptr) return native_id();
  // One that has ended and looks for the next to run is nobody's owner.
  constexpr std::uint64_t kNobody = UINT64_MAX;
  const std::uint64_t id = t_scheduler->current_->id;
  return id != 0 ? id : kNobody;
}

Scheduler& Scheduler::get() noexcept {
  if (t_scheduler != nullptr) [[likely]]
    return *t_scheduler;
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
  native_.id = native_id();
  sanitizer::adopt_native_stack(native_.fiber);
}

void Scheduler::adopt(Coroutine& coroutine) noexcept {
  coroutine.scheduler = this;
  coroutine.deadline.coroutine = coroutine.wake.coroutine = coroutine.notice.coroutine = &coroutine;
  coroutine.deadline.expired = deadline_expired;
  coroutine.wake.run = deliver_wake;
  coroutine.notice.run = deliver_notice;
}

Scheduler::~Scheduler() {
  while (posting_.load() != 0) sched_yield();
  for (Coroutine* slot = all_slots_; slot != nullptr;) {
    Coroutine* next = slot->all_next;
    sanitizer::destroy(slot->fiber);
    sanitizer::remove_roots(slot->stack.low, slot->stack.bytes);
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
  t_native_id = 0;  // who comes later on this OS thread is somebody else
  if (self->pool_.size() == self->stacks_.size() && self->main_ == &self->native_) delete self;
}

// --- slots ----------------------------------------------------------------------

Coroutine* Scheduler::make_slot(std::size_t bytes) noexcept {
  const Stack stack = stacks_.allocate(bytes);
  if (stack.low == nullptr) return nullptr;
  constexpr std::size_t kAlignment = 64;
  char* annex = stack.top() - Coroutine::kAnnexBytes;
  const auto place =
      (reinterpret_cast<std::uintptr_t>(annex) - sizeof(Coroutine)) & ~(kAlignment - 1);
  auto* slot = new (reinterpret_cast<void*>(place)) Coroutine;
  const std::size_t usable = place - reinterpret_cast<std::uintptr_t>(stack.low);
  adopt(*slot);
  slot->stack = stack;
  slot->annex = annex;
  sanitizer::create(slot->fiber, stack.low, usable);
  slot->context.prepare(stack.low, usable, run_slot, slot);
  if (!g_hooks.slot_created(*slot)) {
    sanitizer::destroy(slot->fiber);
    slot->~Coroutine();
    stacks_.release(stack);
    return nullptr;
  }
  sanitizer::add_roots(stack.low, stack.bytes);
  slot->all_next = all_slots_;
  all_slots_ = slot;
  ++stats_.slots_created;
  return slot;
}

Coroutine* Scheduler::take_slot() noexcept {
  const std::size_t bytes = StackPool::rounded(stack_bytes() + Coroutine::kAnnexBytes);
  if (Coroutine* slot = pool_.take(bytes)) return slot;
  return pool_.make_room(bytes) ? make_slot(bytes) : nullptr;
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
  newest_ = slot;
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

// Puts the running slot into the pool and leaves it. A message that spawns may
// take it before the switch: it then begins anew here.
void Scheduler::finish(Coroutine& coroutine) noexcept {
  if (&coroutine == main_ && orphaned_main_) g_hooks.orphan_main_finished();
  ++stats_.finished;
  coroutine.id = 0;
  coroutine.owner = nullptr;
  coroutine.interrupt_pending = false;
  coroutine.permit = false;
  coroutine.exception_globals = {};
  coroutine.state = CoroutineState::kFinished;
  StackPool::trim(coroutine.stack, pool_.size() >= pool_ceiling() ? StackPool::kLeastKeptBytes
                                                                  : StackPool::kKeptBytes);
  pool_.put(coroutine);
  Coroutine& next = next_ready();
  if (&next != &coroutine) {
    switch_to(next);
  } else {
    coroutine.state = CoroutineState::kRunning;  // a message spawned into this very slot
    begin_slice();
  }
}

// --- switching ------------------------------------------------------------------

void Scheduler::switch_to(Coroutine& next) noexcept {
  Coroutine& previous = *current_;
  ++stats_.switches;
  begin_slice();
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
    // Whoever repeats a wait has dealt with the interrupt before: first the deadline, then the
    // next one, or interrupts that follow close upon one another would make it wait for ever.
    const bool repeats = self.wake_status == Status::kInterrupted;
    if (repeats && deadline.passed()) return self.wake_status = Status::kTimedOut;
    ++stats_.interrupts;
    return self.wake_status = Status::kInterrupted;
  }
  self.state = CoroutineState::kParked;
  self.stack_lines = LookAhead::kLinesOfPark;
  queue.unlock();
  ++stats_.parks;
  if (!deadline.is_never() && !timers_.arm(self.deadline, deadline)) fatal("no memory for a timer");
  // Interrupted again and again a coroutine comes here with a deadline that has passed, which
  // must count before the next interrupt does.
  if (deadline.ns() <= last_poll_ns_) turn_left_ = 0;
  if (next == nullptr) next = &next_ready();
  if (next != &self) {
    switch_to(*next);
  } else {
    self.state = CoroutineState::kRunning;
    begin_slice();
  }
  timers_.disarm(self.deadline);
  return self.wake_status;
}

Status Scheduler::yield() noexcept {
  Coroutine& self = *current_;
  if (self.interrupt_pending) return Status::kInterrupted;
  self.stack_lines = LookAhead::kLinesOfYield;
  make_ready(self, Status::kOk);
  Coroutine& next = next_ready();
  if (&next != &self) {
    switch_to(next);
  } else {
    self.state = CoroutineState::kRunning;
    begin_slice();
  }
  return self.interrupt_pending ? Status::kInterrupted : Status::kOk;
}

Status Scheduler::give_way_if_due() noexcept {
  const std::int64_t now = now_ns();
  if (slice_began_ns_ == 0) slice_began_ns_ = now;
  if (now - slice_began_ns_ < kSliceNs) return Status::kOk;
  ++stats_.quota_yields;
  return yield();
}

Status Scheduler::yield_to_newest() noexcept {
  Coroutine& self = *current_;
  Coroutine* newest = std::exchange(newest_, nullptr);
  transfers_in_turn_ += kTransfersOfStart;
  const std::int64_t now = now_ns();
  if (first_start_ns_ == 0) first_start_ns_ = now;
  if (newest == nullptr || newest->state != CoroutineState::kReady || self.interrupt_pending ||
      transfers_in_turn_ >= kTransferQuota || now - first_start_ns_ >= kStartsNs) {
    return yield();
  }
  newest->unlink();
  self.wake_status = Status::kOk;
  self.state = CoroutineState::kReady;
  run_queue_.push_front(self);
  run_queue_.push_front(*newest);
  ++ready_count_;
  turn_left_ += 2;
  switch_to(next_ready());
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
  run_messages();  // another OS thread may have given it
  while (!std::exchange(self.permit, false)) {
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
  look_ahead_.made_ready(coroutine);
}

void Scheduler::leave_run_queue(Coroutine& coroutine) noexcept {
  coroutine.unlink();
  --ready_count_;
  if (turn_left_ > 0) --turn_left_;  // the turn may end early, never late
}

Coroutine& Scheduler::next_ready() noexcept {
  while (turn_left_ == 0 || run_queue_.empty()) start_turn();
  --turn_left_;
  --ready_count_;
  Coroutine& next = run_queue_.pop_front();
  look_ahead_.fetch(run_queue_, ready_count_, turn_left_);
  return next;
}

void Scheduler::start_turn() noexcept {
  ++stats_.turns;
  transfers_in_turn_ = 0;
  first_start_ns_ = 0;
  newest_ = nullptr;
  run_messages();
  const std::int64_t now = now_ns();
  // I/O first: what is ready when its deadline passes came in time. Under load
  // there is work by then, so no need to give up the GIL.
  if (run_queue_.empty() || poll_is_due(now)) poll(now);
  timers_.expire(now);
  run_messages();
  if (run_queue_.empty() && !signalled_.load()) wait_for_work();
  if (signalled_.load(std::memory_order_relaxed) && signalled_.exchange(false)) {
    g_hooks.signalled(*this);
  }
  turn_left_ = ready_count_;
  look_ahead_.begin_turn(stacks_.size() - pool_.size());
}

// A clock that went back, or stands still, is the virtual one.
bool Scheduler::poll_is_due(std::int64_t now) const noexcept {
  return now - last_poll_ns_ >= kPollIntervalNs || now < last_poll_ns_ || virtual_time::enabled();
}

void Scheduler::poll(std::int64_t now) noexcept {
  ++stats_.polls;
  last_poll_ns_ = now;
  mend_loop();
  readiness_.drop_closed();
  loop_.poll();
}

// The program may have closed descriptors of the loop, or left none for it.
void Scheduler::mend_loop() noexcept {
  if (loop_.is_whole()) [[likely]]
    return;
  if (loop_.renew()) readiness_.renew();
}

// Returns when somebody is ready, or when a signal or another OS thread wants
// something; the caller looks.
void Scheduler::wait_for_work() noexcept {
  mend_loop();
  readiness_.drop_closed();
  if (!run_queue_.empty()) return;
  if (virtual_time::enabled() && !timers_.next().is_never()) {
    virtual_time::advance_to(timers_.next().ns());
  } else {
    ++stats_.sleeps;
    g_hooks.before_sleep(*this);
    loop_.sleep(timers_.next());
    g_hooks.after_sleep(*this);
    run_messages();
  }
  const std::int64_t now = now_ns();
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

// Takes a parked coroutine off its queue, unless a waker has claimed it or a
// fork left it behind.
bool Scheduler::withdraw(Coroutine& coroutine) noexcept {
  if (coroutine.state != CoroutineState::kParked) return false;
  if (coroutine.generation != fork_generation::current.load(std::memory_order_relaxed))
    return false;
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
  if (coroutine.state == CoroutineState::kFinished) return;  // not for the slot's next function
  coroutine.interrupt_pending = true;
  if (!withdraw(coroutine)) return;
  ++stats_.interrupts;
  wake(coroutine, Status::kInterrupted);
}

void Scheduler::interrupt(Coroutine& coroutine, std::uint64_t id) noexcept {
  Scheduler& home = *coroutine.scheduler;
  if (&home != t_scheduler) {
    notify(coroutine, id, &Notice::interrupt);
  } else if (coroutine.id == id) {
    home.interrupt(coroutine);
  }
}

// A later function has a larger id: what was wanted of the one before is void.
void Scheduler::notify(Coroutine& coroutine, std::uint64_t id, bool Notice::*what) noexcept {
  Notice& notice = coroutine.notice;
  notice.guard.lock();
  if (id > notice.id) {
    notice.id = id;
    notice.unpark = notice.interrupt = false;
  }
  const bool is_news = id == notice.id;
  if (is_news) notice.*what = true;
  const bool must_post = is_news && !std::exchange(notice.under_way, true);
  notice.guard.unlock();
  if (must_post) coroutine.scheduler->post(notice);
}

void Scheduler::deliver_notice(Message& message) noexcept {
  auto& notice = static_cast<Notice&>(message);
  notice.guard.lock();
  const std::uint64_t id = notice.id;
  const bool to_unpark = std::exchange(notice.unpark, false);
  const bool to_interrupt = std::exchange(notice.interrupt, false);
  notice.under_way = false;
  notice.guard.unlock();
  if (to_unpark) unpark(*notice.coroutine, id);
  if (to_interrupt) interrupt(*notice.coroutine, id);
}

void Scheduler::unpark(Coroutine& coroutine, std::uint64_t id) noexcept {
  Scheduler& home = *coroutine.scheduler;
  if (&home != t_scheduler) {
    notify(coroutine, id, &Notice::unpark);
    return;
  }
  if (coroutine.id != id) return;
  coroutine.permit = true;
  const bool waits_for_permit =
      coroutine.queue == &home.permits_ || (coroutine.wait_events & kPermit) != 0;
  if (coroutine.state == CoroutineState::kParked && waits_for_permit && withdraw(coroutine)) {
    coroutine.wait_events = 0;
    wake(coroutine);
  }
}

void Scheduler::unpark(std::uint64_t home, Coroutine& coroutine, std::uint64_t id) noexcept {
  if (t_scheduler != nullptr && t_scheduler->serial() == home) {
    unpark(coroutine, id);
    return;
  }
  for_each_scheduler([&](Scheduler& scheduler) {
    if (scheduler.serial() == home) unpark(coroutine, id);
  });
}

// What the message sets going may end the home thread before we are done with
// its loop: its scheduler waits for posting_.
void Scheduler::post(Message& message) noexcept {
  posting_.fetch_add(1);
  Message* head = inbox_.load(std::memory_order_relaxed);
  do {
    message.next = head;
  } while (!inbox_.compare_exchange_weak(head, &message, std::memory_order_release,
                                         std::memory_order_relaxed));
  loop_.wake();
  posting_.fetch_sub(1);
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
    oldest = message.next;  // once it runs it may be posted again
    message.run(message);
  }
}

void Scheduler::wake_from_signal() noexcept {
  signalled_.store(true);
  loop_.wake();
}

// --- fork -----------------------------------------------------------------------

void Scheduler::after_fork_in_child() noexcept {
  fork_generation::guard.reset();
  fork_generation::current.fetch_add(1);
  offload::forget_threads();
  Registry::instance().reset(t_scheduler);
  if (t_scheduler != nullptr) t_scheduler->forget_everybody_else();
}

// The other coroutines' stacks stay mapped and untouched: the interpreter still
// looks at their thread states while it deletes them.
void Scheduler::forget_everybody_else() noexcept {
  run_queue_.clear();
  look_ahead_.clear();
  ready_count_ = turn_left_ = 0;
  timers_.clear();
  inbox_.store(nullptr);
  posting_.store(0);
  pool_.clear();
  all_slots_ = newest_ = nullptr;
  loop_.recreate();
  readiness_.reset();
  orphaned_main_ = orphaned_main_ || current_ != main_;
  main_ = current_;
  main_->generation = fork_generation::current.load();
  main_->notice.guard.reset();
  main_->notice.under_way = false;
  stats_.finished = stats_.spawned - (main_ != &native_ ? 1 : 0);
  if (main_ != &native_) {
    main_->all_next = nullptr;
    all_slots_ = main_;
  }
}

}  // namespace coev
