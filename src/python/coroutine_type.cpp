#include "python/coroutine_type.h"

#include <pthread.h>
#include <structmember.h>
#include <sys/mman.h>

#include <atomic>
#include <new>

#include "python/blocking.h"
#include "python/native_locks.h"
#include "python/ref.h"
#include "python/switching.h"
#include "python/thread_state.h"

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
  if (self == nullptr || !self->is_thread) return;
  self->is_daemon = true;
  count_thread(self, 1);
}

CoroutineObject* cast(PyObject* object) noexcept {
  return reinterpret_cast<CoroutineObject*>(object);
}
PyObject* cast(CoroutineObject* object) noexcept { return reinterpret_cast<PyObject*>(object); }

CoroutineObject* create(unsigned long ident) noexcept {
  auto* self = PyObject_GC_New(CoroutineObject, coroutine_type);
  if (self == nullptr) return nullptr;
  self->slot = nullptr;
  self->ident = ident;
  self->function = self->arguments = self->keywords = nullptr;
  self->result = self->exception = self->name = self->pending = self->passed = nullptr;
  self->weak_references = nullptr;
  self->started = self->is_thread = self->is_daemon = self->is_main = self->retrieved = false;
  self->is_listed = false;
  new (&self->finished) Event;
  PyObject_GC_Track(cast(self));
  return self;
}

// --- running ----------------------------------------------------------------------

// Takes off threading's list the Thread of a function, a method of it, that will not run.
void leave_list(PyObject* function) noexcept {
  const Ref exception = Ref::steal(thread_state::take_exception());
  const Ref left = Ref::steal(PyObject_CallMethod(PyMethod_GET_SELF(function), "_delete", nullptr));
  if (!left) PyErr_WriteUnraisable(function);
  thread_state::set_exception(exception.get());
}

PyObject* call(CoroutineObject* self) noexcept {
  if (raise_pending(*self->slot)) [[unlikely]] {
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

PyObject* refuse_exception() noexcept {
  PyErr_SetString(PyExc_TypeError, "throw() takes an exception or an exception class");
  return nullptr;
}

// The lock that Thread.join() waits for up to 3.12.
void release_sentinel(PyObject* weak_reference) noexcept {
  const Ref reference = Ref::steal(weak_reference);
  if (!reference) return;
  const Ref lock = Ref::steal(PyObject_CallNoArgs(reference.get()));
  if (!lock) PyErr_Clear();
  if (lock && lock.get() != Py_None) native_locks::release_if_locked(lock.get());
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

// Like throw(), but for the coroutine itself, too, raised at its next wait: an
// interruption that somebody caught and has to pass on later.
PyObject* method_postpone(PyObject* object, PyObject* exception) {
  if (!PyExceptionInstance_Check(exception)) return refuse_exception();
  if (!throw_into(cast(object), exception)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* method_withdraw(PyObject* object, PyObject* exception) {
  return PyBool_FromLong(withdraw(cast(object), exception));
}

struct InterruptMessage : Message {
  CoroutineObject* target;  // owned
};

void deliver_interrupt(Message& message) noexcept {
  auto& self = static_cast<InterruptMessage&>(message);
  if (self.target->slot != nullptr) Scheduler::get().interrupt(*self.target->slot);
  Py_DECREF(self.target);
  delete &self;
}

// --- methods ------------------------------------------------------------------------

// Waits for the end. False with an exception set.
bool join(CoroutineObject* self, PyObject* timeout) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline)) return false;
  if (self->finished.is_set()) return true;
  if (!can_block()) return false;
  if (self == current_object()) {
    PyErr_SetString(PyExc_RuntimeError, "cannot join current coroutine");
    return false;
  }
  const Ref keep = Ref::borrow(cast(self));
  const Status status = wait([&] { return self->finished.wait(deadline); });
  if (status == Status::kOk) return true;
  raise(status);
  return false;
}

constexpr const char* kTimeoutName[] = {"timeout", nullptr};

PyObject* method_join(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* keywords) {
  PyObject* timeout = nullptr;
  if (!parse_arguments("join", arguments, count, keywords, kTimeoutName, 0, &timeout)) {
    return nullptr;
  }
  if (!join(cast(object), timeout)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* method_result(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  CoroutineObject* self = cast(object);
  PyObject* timeout = nullptr;
  if (!parse_arguments("result", arguments, count, keywords, kTimeoutName, 0, &timeout) ||
      !join(self, timeout)) {
    return nullptr;
  }
  if (self->exception == nullptr) return Py_XNewRef(self->result ? self->result : Py_None);
  self->retrieved = true;
  thread_state::set_exception(self->exception);
  return nullptr;
}

PyObject* method_exception(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  CoroutineObject* self = cast(object);
  PyObject* timeout = nullptr;
  if (!parse_arguments("exception", arguments, count, keywords, kTimeoutName, 0, &timeout) ||
      !join(self, timeout)) {
    return nullptr;
  }
  self->retrieved = true;
  return Py_NewRef(self->exception ? self->exception : Py_None);
}

PyObject* make_exception(PyObject* what) noexcept {
  if (PyExceptionInstance_Check(what)) return Py_NewRef(what);
  if (PyExceptionClass_Check(what)) {
    PyObject* made = PyObject_CallNoArgs(what);
    if (made == nullptr || PyExceptionInstance_Check(made)) return made;
    Py_DECREF(made);
  }
  return refuse_exception();
}

bool raise_or_throw(CoroutineObject* self, PyObject* exception) noexcept {
  if (self == current_object()) {
    thread_state::set_exception(exception);
    return false;
  }
  return throw_into(self, exception);
}

PyObject* method_throw(PyObject* object, PyObject* what) {
  CoroutineObject* self = cast(object);
  const Ref exception = Ref::steal(make_exception(what));
  if (!exception) return nullptr;
  if (self->finished.is_set()) {
    PyErr_SetString(PyExc_RuntimeError, "cannot throw into a finished coroutine");
    return nullptr;
  }
  if (!raise_or_throw(self, exception.get())) return nullptr;
  Py_RETURN_NONE;
}

PyObject* method_kill(PyObject* object, PyObject*) {
  CoroutineObject* self = cast(object);
  if (self->finished.is_set()) Py_RETURN_NONE;
  if (self->is_main) {
    PyErr_SetString(PyExc_RuntimeError, "cannot kill the main coroutine of a thread");
    return nullptr;
  }
  if (!kill(self)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* method_switch(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  static constexpr const char* kNames[] = {"value", nullptr};
  PyObject* value = nullptr;
  if (!parse_arguments("switch", arguments, count, keywords, kNames, 0, &value)) return nullptr;
  return switch_to(cast(object), value == nullptr ? Py_None : value);
}

PyObject* method_stack(PyObject* object, PyObject*) {
  CoroutineObject* self = cast(object);
  const Ref traceback = Ref::steal(PyImport_ImportModule("traceback"));
  if (!traceback) return nullptr;
  const Ref frame = Ref::steal(
      self->slot == nullptr ? nullptr
                            : reinterpret_cast<PyObject*>(thread_state::frame_of(*self->slot)));
  if (!frame) {
    const Ref summary = Ref::steal(PyObject_GetAttrString(traceback.get(), "StackSummary"));
    return summary ? PyObject_CallNoArgs(summary.get()) : nullptr;
  }
  return PyObject_CallMethod(traceback.get(), "extract_stack", "O", frame.get());
}

PyObject* get_done(PyObject* self, void*) { return PyBool_FromLong(cast(self)->finished.is_set()); }
PyObject* get_started(PyObject* self, void*) { return PyBool_FromLong(cast(self)->started); }
PyObject* get_ident(PyObject* self, void*) { return PyLong_FromUnsignedLong(cast(self)->ident); }

PyObject* get_name(PyObject* object, void*) {
  CoroutineObject* self = cast(object);
  if (self->name == nullptr) {
    self->name = self->is_main
                     ? PyUnicode_FromString("main")
                     : PyUnicode_FromFormat("coroutine-%lu", g_idents.ordinal(self->ident));
  }
  return Py_XNewRef(self->name);
}

int set_name(PyObject* object, PyObject* name, void*) {
  if (name == nullptr || !PyUnicode_Check(name)) {
    PyErr_SetString(PyExc_TypeError, "name must be a str");
    return -1;
  }
  Py_XSETREF(cast(object)->name, Py_NewRef(name));
  return 0;
}

PyObject* coroutine_repr(PyObject* object) {
  CoroutineObject* self = cast(object);
  const Ref name = Ref::steal(get_name(object, nullptr));
  if (!name) return nullptr;
  const char* state = self->finished.is_set()                         ? "finished"
                      : self->slot == nullptr                         ? "finishing"
                      : !self->started && !self->is_main              ? "not started"
                      : self->slot->state == CoroutineState::kRunning ? "running"
                      : self->slot->state == CoroutineState::kReady   ? "ready"
                                                                      : "waiting";
  return PyUnicode_FromFormat("<coev.Coroutine %U %s at %p>", name.get(), state, object);
}

// --- life ---------------------------------------------------------------------------

int coroutine_traverse(PyObject* object, visitproc visit, void* arg) {
  CoroutineObject* self = cast(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->function);
  Py_VISIT(self->arguments);
  Py_VISIT(self->keywords);
  Py_VISIT(self->result);
  Py_VISIT(self->exception);
  Py_VISIT(self->pending);
  Py_VISIT(self->passed);
  return 0;
}

int coroutine_clear(PyObject* object) {
  CoroutineObject* self = cast(object);
  Py_CLEAR(self->function);
  Py_CLEAR(self->arguments);
  Py_CLEAR(self->keywords);
  Py_CLEAR(self->result);
  Py_CLEAR(self->exception);
  Py_CLEAR(self->name);
  Py_CLEAR(self->pending);
  Py_CLEAR(self->passed);
  return 0;
}

// An exception that nobody took is told once, at the end of the object's life.
void coroutine_finalize(PyObject* object) {
  CoroutineObject* self = cast(object);
  PyObject* exception = self->exception;
  if (exception == nullptr || self->retrieved) return;
  self->retrieved = true;
  if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit)) return;
  const Ref saved = Ref::steal(PyErr_Occurred() ? thread_state::take_exception() : nullptr);
  thread_state::set_exception(exception);
  PyErr_WriteUnraisable(object);
  if (saved) thread_state::set_exception(saved.get());
}

void coroutine_dealloc(PyObject* object) {
  CoroutineObject* self = cast(object);
  if (self->exception != nullptr && PyObject_CallFinalizerFromDealloc(object) < 0) return;
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  coroutine_clear(object);
  self->finished.~Event();
  PyObject_GC_Del(object);
  Py_DECREF(type);
}

PyMethodDef coroutine_methods[] = {
    {"join", as_method(method_join), METH_FASTCALL | METH_KEYWORDS,
     "join($self, timeout=None)\n--\n\nWait until the coroutine has finished.\n\n"
     "Switches: only if it has not.\n\n"
     ":param timeout: seconds; None waits without limit.\n"
     ":raises TimeoutError: it did not finish in time; it goes on.\n"
     ":raises RuntimeError: a coroutine cannot join itself."},
    {"result", as_method(method_result), METH_FASTCALL | METH_KEYWORDS,
     "result($self, timeout=None)\n--\n\n"
     "Wait for the end and return what the function returned, or "
     "raise what it raised.\n\nSwitches: only if it has not finished.\n\n"
     ":raises TimeoutError: it did not finish in time; it goes on."},
    {"exception", as_method(method_exception), METH_FASTCALL | METH_KEYWORDS,
     "exception($self, timeout=None)\n--\n\nWait for the end and return the exception the function "
     "raised, or None.\n\nSwitches: only if it has not finished."},
    {"throw", method_throw, METH_O,
     "throw($self, exception, /)\n--\n\n"
     "Raise *exception* in the coroutine where it waits, or will wait "
     "next; one that has not started ends with it at once. Thrown into the current coroutine it "
     "is raised here.\n\nSwitches: never.\n\n"
     ":raises RuntimeError: the coroutine has finished."},
    {"kill", method_kill, METH_NOARGS,
     "kill($self)\n--\n\nThrow CoroutineExit; a finished coroutine stays as it is.\n\n"
     "Switches: never; join() waits for the end."},
    {"switch", as_method(method_switch), METH_FASTCALL | METH_KEYWORDS,
     "switch($self, value=None)\n--\n\nThe same as coev.switch(self, value).\n\nSwitches: always."},
    {"stack", method_stack, METH_NOARGS,
     "stack($self)\n--\n\n"
     "Where the coroutine is: a traceback.StackSummary, oldest call first; empty "
     "if it has not started or has finished.\n\nSwitches: never."},
    {"_postpone", method_postpone, METH_O, nullptr},
    {"_withdraw", method_withdraw, METH_O, nullptr},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS,
     "Coroutine[T], for annotations: its function returns a T."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef coroutine_attributes[] = {
    {"done", get_done, nullptr, "Whether the coroutine has finished.", nullptr},
    {"started", get_started, nullptr, "Whether its function has been entered.", nullptr},
    {"ident", get_ident, nullptr, "The number threading.get_ident() gives inside it.", nullptr},
    {"name", get_name, set_name, "A name for people; need not be unique.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef coroutine_members[] = {{"__weaklistoffset__", T_PYSSIZET,
                                    offsetof(CoroutineObject, weak_references), READONLY, nullptr},
                                   {nullptr, 0, 0, 0, nullptr}};

PyType_Slot coroutine_slots[] = {
    {Py_tp_doc, const_cast<char*>("A function that runs as a coroutine; made by coev.spawn().")},
    {Py_tp_dealloc, reinterpret_cast<void*>(coroutine_dealloc)},
    {Py_tp_finalize, reinterpret_cast<void*>(coroutine_finalize)},
    {Py_tp_traverse, reinterpret_cast<void*>(coroutine_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(coroutine_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(coroutine_repr)},
    {Py_tp_methods, coroutine_methods},
    {Py_tp_getset, coroutine_attributes},
    {Py_tp_members, coroutine_members},
    {0, nullptr}};

PyType_Spec coroutine_spec = {
    "coev.Coroutine", sizeof(CoroutineObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, coroutine_slots};

}  // namespace

bool add_coroutine_type(PyObject* module) noexcept {
  pthread_atfork(nullptr, nullptr, forget_threads_of_parent);
  coroutine_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&coroutine_spec));
  coroutine_exit = PyErr_NewExceptionWithDoc(
      "coev.CoroutineExit",
      "Thrown by Coroutine.kill(). A SystemExit, so that it ends a thread in silence.",
      PyExc_SystemExit, nullptr);
  return coroutine_type != nullptr && coroutine_exit != nullptr &&
         PyModule_AddObjectRef(module, "Coroutine", reinterpret_cast<PyObject*>(coroutine_type)) ==
             0 &&
         PyModule_AddObjectRef(module, "CoroutineExit", coroutine_exit) == 0;
}

namespace {

CoroutineObject* start(PyObject* function, PyObject* arguments, PyObject* keywords, bool is_thread,
                       bool is_daemon) noexcept {
  if (is_closed()) {
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
  self->slot = thread_state::scheduler().spawn(run, self, self);
  if (self->slot == nullptr) {
    self->finished.set();
    Py_DECREF(self);
    PyErr_SetString(PyExc_RuntimeError, "can't start new thread");
    return nullptr;
  }
  Py_INCREF(self);  // the running coroutine's own
  thread_state::set_ident(*self->slot, self->ident);
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
  self->slot->owner = nullptr;
  self->slot = nullptr;
  self->finished.set();
  Py_DECREF(self);
}

CoroutineObject* create_main(Coroutine& coroutine) noexcept {
  CoroutineObject* self = create(PyThread_get_thread_ident());
  if (self == nullptr) return nullptr;
  self->slot = &coroutine;
  self->is_main = self->started = true;
  coroutine.owner = self;
  // From here on the capsule owns it.
  const Ref end = Ref::steal(PyCapsule_New(self, kThreadEnd, end_main));
  if (end) return thread_state::keep(coroutine, kThreadEnd, end.get()) ? self : nullptr;
  coroutine.owner = nullptr;
  self->slot = nullptr;
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

bool raise_pending(Coroutine& coroutine) noexcept {
  auto* self = static_cast<CoroutineObject*>(coroutine.owner);
  if (self == nullptr || self->pending == nullptr) return false;
  const Py_ssize_t left = PyList_GET_SIZE(self->pending);
  if (left == 0) return false;
  const Ref exception = Ref::borrow(PyList_GET_ITEM(self->pending, 0));
  if (PyList_SetSlice(self->pending, 0, 1, nullptr) < 0) return true;
  coroutine.interrupt_pending = left > 1;
  thread_state::set_exception(exception.get());
  return true;
}

bool throw_into(CoroutineObject* target, PyObject* exception) noexcept {
  if (target->slot == nullptr) return true;
  if (target->pending == nullptr) target->pending = PyList_New(0);
  if (target->pending == nullptr || PyList_Append(target->pending, exception) < 0) return false;
  return interrupt(target);
}

bool interrupt(CoroutineObject* target) noexcept {
  if (target->slot == nullptr) return true;
  Scheduler& home = *target->slot->scheduler;
  if (&home == Scheduler::find()) {
    home.interrupt(*target->slot);
    return true;
  }
  auto* message = new (std::nothrow) InterruptMessage;
  if (message == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  message->run = deliver_interrupt;
  message->target = target;
  Py_INCREF(target);
  home.post(*message);
  return true;
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
  PyObject* sentinel = thread_state::take_sentinel();
  count_thread(self, -1);
  slot.owner = nullptr;
  self->slot = nullptr;
  self->finished.set();
  Py_DECREF(self);  // the running coroutine's own
  release_sentinel(sentinel);
}

bool kill(CoroutineObject* target) noexcept {
  if (target->finished.is_set()) return true;
  const Ref exception = Ref::steal(PyObject_CallNoArgs(coroutine_exit));
  return exception && raise_or_throw(target, exception.get());
}

bool release_at_end(CoroutineObject* thread, PyObject* lock) noexcept {
  PyObject* reference = PyWeakref_NewRef(lock, nullptr);
  if (reference == nullptr) return false;
  thread_state::leave_sentinel(*thread->slot, reference, [](void* weak_reference) {
    release_sentinel(static_cast<PyObject*>(weak_reference));
  });
  return true;
}

long thread_count() noexcept { return g_threads; }

Event& no_thread_to_join() noexcept {
  if (g_threads_to_join == 0) g_no_thread_to_join.set();
  return g_no_thread_to_join;
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
