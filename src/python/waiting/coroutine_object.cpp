#include "python/waiting/coroutine_object.h"

#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <new>

#include "python/base/ref.h"
#include "python/cpython/thread_state.h"

namespace coev::python {

PyTypeObject* coroutine_type = nullptr;
PyObject* coroutine_exit = nullptr;

namespace {

// Idents are addresses of a region that nobody else can have: never a live
// pthread_t, and where C takes one for a pthread_t all the same (faulthandler asks
// for the thread's name from 3.14 on) it finds zeros and no crash.
class Idents {
 public:
  [[nodiscard]] unsigned long take() noexcept {
    const unsigned long first = base();
    return first + (next_.fetch_add(1) % kCount);
  }
  [[nodiscard]] bool includes(unsigned long ident) noexcept {
    return ident - base() < kCount && ident - base() < next_.load();
  }
  // 1 for the first coroutine, and so on.
  [[nodiscard]] unsigned long ordinal(unsigned long ident) noexcept { return ident - base() + 1; }

 private:
  static constexpr unsigned long kCount = 1UL << 30;
  static constexpr unsigned long kSlack = 4096;  // more than a pthread_t points to

  // Without address space for it: small numbers, which no pthread_t is either.
  static unsigned long base() noexcept {
    static const unsigned long first = [] {
      void* region = mmap(nullptr, kCount + kSlack, PROT_READ,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      return region == MAP_FAILED ? 1UL : reinterpret_cast<unsigned long>(region);
    }();
    return first;
  }
  std::atomic<unsigned long> next_{0};
};

Idents g_idents;

long g_threads = 0;

long g_threads_to_join = 0;

Event g_no_thread_to_join;

unsigned long g_survivor = 0;  // of the last fork

void count_thread(const CoroutineObject* self, long by) noexcept {
  if (!self->is_thread) return;
  g_threads += by;
  if (self->is_daemon) return;
  g_threads_to_join += by;
  g_threads_to_join == 0 ? g_no_thread_to_join.set() : g_no_thread_to_join.clear();
}

// Only the thread that forked is there, as the main one: nobody waits for its end.
void forget_threads_of_parent() noexcept {
  g_threads = g_threads_to_join = 0;
  Scheduler* scheduler = Scheduler::find();
  auto* self =
      scheduler == nullptr ? nullptr : static_cast<CoroutineObject*>(scheduler->current().owner);
  g_survivor = self == nullptr ? PyThread_get_thread_ident() : self->ident;
  if (self == nullptr || !self->is_thread) return;
  self->is_daemon = true;
  count_thread(self, 1);
}

CoroutineObject* create(unsigned long ident) noexcept {
  auto* self = PyObject_GC_New(CoroutineObject, coroutine_type);
  if (self == nullptr) return nullptr;
  self->last_slot = nullptr;
  self->ident = ident;
  self->function = self->arguments = self->keywords = nullptr;
  self->result = self->exception = self->name = self->pending = self->passed = nullptr;
  self->weak_references = nullptr;
  self->started = self->is_thread = self->is_daemon = self->is_main = self->retrieved = false;
  self->is_listed = false;
  new (&self->finished) Event;
  new (&self->scopes) IntrusiveList<Scope>;
  PyObject_GC_Track(cast(self));
  return self;
}

// `function` is a method of a threading.Thread and will not run. Takes that Thread off the list
// of active threads, which the method itself would have done at its end.
void leave_list(PyObject* function) noexcept {
  const Ref exception = Ref::steal(thread_state::take_exception());
  const Ref left = Ref::steal(PyObject_CallMethod(PyMethod_GET_SELF(function), "_delete", nullptr));
  if (!left) PyErr_WriteUnraisable(function);
  thread_state::set_exception(exception.get());
}

PyObject* call(CoroutineObject* self) noexcept {
  if (raise_pending(*self->last_slot)) [[unlikely]] {
    if (self->is_listed) leave_list(self->function);
    return nullptr;
  }
  self->started = true;
  if (self->keywords != nullptr) {
    return PyObject_Call(self->function, self->arguments, self->keywords);
  }
  if (self->arguments == nullptr) return PyObject_CallNoArgs(self->function);
  return PyObject_Call(self->function, self->arguments, nullptr);
}

void keep_outcome(CoroutineObject* self, PyObject* result) noexcept {
  self->result = result;
  if (result != nullptr) return;
  if (self->is_thread && !PyErr_ExceptionMatches(PyExc_SystemExit)) {
    thread_state::report_thread_exception(self->function);
    return;
  }
  self->exception = thread_state::take_exception();
}

// The lock that Thread.join() waits for up to 3.12.
void release_sentinel(PyObject* weak_reference) noexcept {
  const Ref reference = Ref::steal(weak_reference);
  if (!reference) return;
  const Ref lock = Ref::steal(PyObject_CallNoArgs(reference.get()));
  if (!lock) PyErr_Clear();
  if (lock && lock.get() != Py_None) release_lock_at_end(lock.get());
}

// What a slot runs. detach() ends it, when finalizers of the thread state's
// content have run: until then they find the coroutine they belong to.
void run(void* argument) noexcept {
  auto* self = static_cast<CoroutineObject*>(argument);
  keep_outcome(self, call(self));
  Py_CLEAR(self->function);
  Py_CLEAR(self->arguments);
  Py_CLEAR(self->keywords);
}

// While everything is still as the block expects it.
void abandon_scopes(CoroutineObject* self) noexcept {
  while (Scope* scope = self->scopes.first()) scope->abandon();
}

void call_release(PyObject* lock) noexcept {
  Ref::steal(PyObject_CallMethod(lock, "release", nullptr));
  PyErr_Clear();
}

}  // namespace

void (*release_lock_at_end)(PyObject* lock) noexcept = call_release;

unsigned long ordinal_of(unsigned long ident) noexcept { return g_idents.ordinal(ident); }

void watch_forks_of_coroutines() noexcept {
  pthread_atfork(nullptr, nullptr, forget_threads_of_parent);
}

bool raise_or_throw(CoroutineObject* self, PyObject* exception) noexcept {
  if (self == current_object()) {
    thread_state::set_exception(exception);
    return false;
  }
  return throw_into(self, exception);
}

namespace {

CoroutineObject* start(PyObject* function, PyObject* arguments, PyObject* keywords, bool is_thread,
                       bool is_daemon) noexcept {
  if (thread_state::finalizing()) {
    PyErr_SetString(PyExc_RuntimeError, "can't start new thread at interpreter shutdown");
    return nullptr;
  }
  CoroutineObject* self = create(g_idents.take());
  if (self == nullptr) return nullptr;
  self->function = Py_NewRef(function);
  self->arguments = Py_XNewRef(arguments);
  self->keywords = Py_XNewRef(keywords);
  self->is_thread = is_thread;
  self->is_daemon = is_daemon;
  if (keywords != nullptr && arguments == nullptr) self->arguments = PyTuple_New(0);
  self->last_slot = thread_state::scheduler().spawn(run, self, self);
  if (self->last_slot == nullptr) {
    self->finished.set();
    Py_DECREF(self);
    PyErr_SetString(PyExc_RuntimeError, "can't start new thread");
    return nullptr;
  }
  Py_INCREF(self);  // the running coroutine's own
  thread_state::set_ident(*self->last_slot, self->ident);
  count_thread(self, 1);
  return self;
}

}  // namespace

CoroutineObject* spawn(PyObject* function, PyObject* arguments, PyObject* keywords) noexcept {
  return start(function, arguments, keywords, false, false);
}

CoroutineObject* spawn_thread(PyObject* function, PyObject* arguments, PyObject* keywords,
                              bool daemon) noexcept {
  return start(function, arguments, keywords, true, daemon);
}

namespace {

constexpr const char* kThreadEnd = "coev.thread_end";

// CPython clears the OS thread's thread state: nothing must lead to its scheduler
// any more, which is about to go.
void end_main(PyObject* capsule) {
  auto* self = static_cast<CoroutineObject*>(PyCapsule_GetPointer(capsule, kThreadEnd));
  if (thread_state::finalizing()) return;  // the scheduler stays, and nothing may run
  abandon_scopes(self);
  self->last_slot->owner = nullptr;
  self->last_slot = nullptr;
  self->finished.set();
  Py_DECREF(self);
}

CoroutineObject* create_main(Coroutine& coroutine) noexcept {
  CoroutineObject* self = create(PyThread_get_thread_ident());
  if (self == nullptr) return nullptr;
  self->last_slot = &coroutine;
  self->is_main = self->started = true;
  coroutine.owner = self;
  // From here on the capsule owns it.
  const Ref end = Ref::steal(PyCapsule_New(self, kThreadEnd, end_main));
  if (end) return thread_state::keep(coroutine, kThreadEnd, end.get()) ? self : nullptr;
  coroutine.owner = nullptr;
  self->last_slot = nullptr;
  Py_DECREF(self);
  return nullptr;
}

}  // namespace

CoroutineObject* object_of(Coroutine& coroutine) noexcept {
  if (coroutine.owner == nullptr) return create_main(coroutine);
  return static_cast<CoroutineObject*>(coroutine.owner);
}

CoroutineObject* current_object() noexcept {
  return object_of(thread_state::scheduler().current());
}

namespace {

Scope* due_scope(CoroutineObject* self) noexcept {
  Scope* scope = self->scopes.first();
  while (scope != nullptr && !scope->due) scope = self->scopes.next(*scope);
  return scope;
}

// New reference to what was thrown first; nullptr, with or without an exception set.
PyObject* take_thrown(CoroutineObject* self) noexcept {
  if (self->pending == nullptr || PyList_GET_SIZE(self->pending) == 0) return nullptr;
  PyObject* exception = Py_NewRef(PyList_GET_ITEM(self->pending, 0));
  if (PyList_SetSlice(self->pending, 0, 1, nullptr) == 0) return exception;
  Py_DECREF(exception);
  return nullptr;
}

}  // namespace

bool raise_pending(Coroutine& coroutine) noexcept {
  auto* self = static_cast<CoroutineObject*>(coroutine.owner);
  if (self == nullptr || (self->pending == nullptr && self->scopes.empty())) return false;
  Ref exception = Ref::steal(take_thrown(self));
  Scope* scope = exception || PyErr_Occurred() != nullptr ? nullptr : due_scope(self);
  if (scope != nullptr) {
    scope->due = false;
    exception = Ref::steal(scope->make_exception());
  }
  const bool is_one_left = self->pending != nullptr && PyList_GET_SIZE(self->pending) > 0;
  if (is_one_left || due_scope(self) != nullptr) coroutine.interrupt_pending = true;
  if (exception) thread_state::set_exception(exception.get());
  return PyErr_Occurred() != nullptr;
}

bool throw_into(CoroutineObject* target, PyObject* exception) noexcept {
  if (target->slot() == nullptr) return true;
  if (target->pending == nullptr) target->pending = PyList_New(0);
  if (target->pending == nullptr || PyList_Append(target->pending, exception) < 0) return false;
  interrupt(target);
  return true;
}

void interrupt(CoroutineObject* target) noexcept {
  Coroutine* slot = target->slot();
  if (slot != nullptr) Scheduler::interrupt(*slot, slot->id);
}

bool withdraw(CoroutineObject* target, PyObject* exception) noexcept {
  PyObject* pending = target->pending;
  if (pending == nullptr) return false;
  for (Py_ssize_t i = PyList_GET_SIZE(pending); i-- > 0;) {
    if (PyList_GET_ITEM(pending, i) != exception) continue;
    if (PyList_SetSlice(pending, i, i + 1, nullptr) < 0) PyErr_Clear();
    return true;
  }
  return false;
}

void detach(Coroutine& slot) noexcept {
  auto* self = static_cast<CoroutineObject*>(slot.owner);
  abandon_scopes(self);
  PyObject* sentinel = thread_state::take_sentinel();
  count_thread(self, -1);
  slot.owner = nullptr;
  self->last_slot = nullptr;
  self->finished.set();
  Py_DECREF(self);  // the running coroutine's own
  release_sentinel(sentinel);
}

bool kill(CoroutineObject* target) noexcept {
  if (target->has_ended()) return true;
  const Ref exception = Ref::steal(PyObject_CallNoArgs(coroutine_exit));
  return exception && raise_or_throw(target, exception.get());
}

bool release_at_end(CoroutineObject* thread, PyObject* lock) noexcept {
  PyObject* reference = PyWeakref_NewRef(lock, nullptr);
  if (reference == nullptr) return false;
  thread_state::leave_sentinel(*thread->last_slot, reference, [](void* weak_reference) {
    release_sentinel(static_cast<PyObject*>(weak_reference));
  });
  return true;
}

long thread_count() noexcept { return g_threads; }

Event& no_thread_to_join() noexcept {
  if (g_threads_to_join == 0) g_no_thread_to_join.set();
  return g_no_thread_to_join;
}

bool has_survived_forks(unsigned long ident, std::uint32_t generation) noexcept {
  return generation == fork_generation::current.load(std::memory_order_relaxed) ||
         ident == g_survivor;
}

bool is_coroutine_ident(unsigned long ident) noexcept { return g_idents.includes(ident); }

unsigned long current_ident() noexcept {
  Scheduler* scheduler = Scheduler::find();
  if (scheduler == nullptr) return PyThread_get_thread_ident();
  auto* self = static_cast<CoroutineObject*>(scheduler->current().owner);
  if (self != nullptr) return self->ident;
  // Nobody has asked for the main coroutine's object; or a coroutine is ending,
  // and something of its goes away.
  return thread_state::ident();
}

}  // namespace coev::python
