#include "python/monkey/threads/thread_module.h"

#include <pthread.h>
#include <structmember.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <new>

#include "core/event.h"
#include "core/registry.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/timeouts.h"

namespace coev::python::thread_module {
namespace {

struct Originals {
  Original start_new_thread, start_new, start_joinable_thread, get_ident, get_native_id, stack_size,
      count, make_thread_handle, get_main_thread_ident, handle_join, shutdown, set_name, get_name,
      sleep, pthread_kill, pthread_getcpuclockid;
};
Originals g_original;

// --- thread handles -------------------------------------------------------------------

struct HandleObject {
  PyObject_HEAD PyObject* weak_references;
  CoroutineObject* coroutine;  // owned; nullptr before the start, or for a foreign thread
  unsigned long ident;         // 0 before the start
  std::uint32_t generation;    // of forks, in which it became the handle of a foreign thread
  bool done;                   // _set_done() was called
  Event set_done;
};

PyTypeObject* g_handle_type = nullptr;

HandleObject* as_handle(PyObject* object) noexcept {
  return reinterpret_cast<HandleObject*>(object);
}

bool handle_is_done(HandleObject* self) noexcept {
  if (self->done || self->ident == 0) return self->done;
  return self->coroutine != nullptr ? self->coroutine->has_ended()
                                    : !has_survived_forks(self->ident, self->generation);
}

PyObject* handle_new(PyTypeObject* type, PyObject*, PyObject*) {
  auto* self = as_handle(type->tp_alloc(type, 0));
  if (self != nullptr) new (&self->set_done) Event;
  return reinterpret_cast<PyObject*>(self);
}

void handle_dealloc(PyObject* object) {
  HandleObject* self = as_handle(object);
  PyTypeObject* type = Py_TYPE(object);
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  Py_XDECREF(self->coroutine);
  self->set_done.~Event();
  type->tp_free(object);
  Py_DECREF(type);
}

// As parse_seconds(), with the errors of the handles of CPython.
bool parse_join_timeout(PyObject* timeout, std::int64_t* ns) noexcept {
  if (!PyFloat_Check(timeout) && !PyIndex_Check(timeout)) {
    PyErr_Format(PyExc_TypeError, "'%.200s' object cannot be interpreted as an integer",
                 Py_TYPE(timeout)->tp_name);
    return false;
  }
  if (PyFloat_Check(timeout) && std::isnan(PyFloat_AS_DOUBLE(timeout))) {
    PyErr_SetString(PyExc_ValueError, "Invalid value NaN (not a number)");
    return false;
  }
  return parse_seconds(timeout, ns);
}

PyObject* handle_join(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* keywords) {
  static constexpr const char* kNames[] = {"timeout", nullptr};
  HandleObject* self = as_handle(object);
  PyObject* timeout = nullptr;
  if (!parse_arguments("join", arguments, count, keywords, kNames, 0, &timeout)) return nullptr;
  Deadline deadline = Deadline::never();
  if (timeout != nullptr && timeout != Py_None) {
    std::int64_t ns = 0;
    if (!parse_join_timeout(timeout, &ns)) return nullptr;
    if (ns >= 0) deadline = Deadline::after(ns);
  }
  if (self->ident == 0 && !self->done) {
    PyErr_SetString(PyExc_RuntimeError, "thread not started");
    return nullptr;
  }
  if (handle_is_done(self)) Py_RETURN_NONE;
  if (self->ident == current_ident()) {
    PyErr_SetString(PyExc_RuntimeError, "Cannot join current thread");
    return nullptr;
  }
  if (!can_block()) return nullptr;
  const Ref keep = Ref::borrow(object);
  thread_state::ensure_scheduler();
  const Status status = wait([&] {
    return self->coroutine != nullptr ? self->coroutine->wait_for_end(deadline)
                                      : self->set_done.wait(deadline);
  });
  if (status == Status::kOk || status == Status::kTimedOut) Py_RETURN_NONE;
  return raise(status);
}

PyObject* handle_method_is_done(PyObject* object, PyObject*) {
  return PyBool_FromLong(handle_is_done(as_handle(object)));
}

PyObject* handle_set_done(PyObject* object, PyObject*) {
  if (as_handle(object)->ident == 0 && !as_handle(object)->done) {
    PyErr_SetString(PyExc_RuntimeError, "thread not started");
    return nullptr;
  }
  as_handle(object)->done = true;
  as_handle(object)->set_done.set();
  Py_RETURN_NONE;
}

PyObject* handle_ident(PyObject* object, void*) {
  return PyLong_FromUnsignedLong(as_handle(object)->ident);
}

PyObject* handle_repr(PyObject* object) {
  return PyUnicode_FromFormat("<%s object: ident=%lu>", Py_TYPE(object)->tp_name,
                              as_handle(object)->ident);
}

PyMethodDef handle_methods[] = {
    {"join", as_method(handle_join), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"is_done", handle_method_is_done, METH_NOARGS, nullptr},
    {"_set_done", handle_set_done, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef handle_attributes[] = {{"ident", handle_ident, nullptr, nullptr, nullptr},
                                   {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMemberDef handle_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HandleObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot handle_slots[] = {{Py_tp_new, reinterpret_cast<void*>(handle_new)},
                              {Py_tp_dealloc, reinterpret_cast<void*>(handle_dealloc)},
                              {Py_tp_repr, reinterpret_cast<void*>(handle_repr)},
                              {Py_tp_methods, handle_methods},
                              {Py_tp_getset, handle_attributes},
                              {Py_tp_members, handle_members},
                              {0, nullptr}};
PyType_Spec handle_spec = {"_thread._ThreadHandle", sizeof(HandleObject), 0, Py_TPFLAGS_DEFAULT,
                           handle_slots};

// join() of a native thread's own handle, which would block the OS thread. Its
// end wakes nobody here, so look from time to time.
PyObject* replaced_handle_join(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                               PyObject* keywords) {
  constexpr std::int64_t kLookIntervalNs = 2'000'000;
  const bool forever = count == 0 || arguments[0] == Py_None;
  const bool usual =
      count == 0 ||
      (count == 1 && (forever || PyFloat_Check(arguments[0]) || PyLong_Check(arguments[0])));
  if (is_closed() || !usual || keywords != nullptr) {
    return g_original.handle_join(self, arguments, count, keywords);
  }
  std::int64_t ns = -1;
  const Ref zero = Ref::steal(PyFloat_FromDouble(0.0));
  if (!zero || (!forever && !parse_seconds(arguments[0], &ns))) return nullptr;
  PyObject* no_wait[] = {zero.get()};
  const Deadline deadline = ns < 0 ? Deadline::never() : Deadline::after(ns);
  Scheduler& scheduler = thread_state::scheduler();
  for (;;) {
    const Ref joined = Ref::steal(g_original.handle_join(self, no_wait, 1));
    const Ref done = joined ? Ref::steal(PyObject_CallMethod(self, "is_done", nullptr)) : Ref();
    if (!done) return nullptr;
    if (done.get() == Py_True || deadline.passed()) Py_RETURN_NONE;
    const Deadline look = Deadline::after(kLookIntervalNs);
    const Status status =
        wait([&] { return scheduler.sleep_until(look.ns() < deadline.ns() ? look : deadline); });
    if (status != Status::kTimedOut) return raise(status);
  }
}

bool retarget_native_handle(PyObject* thread_module) noexcept {
  const Ref type = Ref::steal(PyObject_GetAttrString(thread_module, "_ThreadHandle"));
  if (!type) {
    PyErr_Clear();  // before 3.13
    return true;
  }
  return retarget<replaced_handle_join>(type.get(), "join", &g_original.handle_join);
}

// --- starting ---------------------------------------------------------------------------

// True with RuntimeError set, as natively, once threading._shutdown() has begun.
bool is_too_late() noexcept {
  if (!thread_state::refuses_threads_at_exit()) return false;
  static PyObject* const threading = PyImport_ImportModule("threading");
  static PyObject* const name = PyUnicode_InternFromString("_SHUTTING_DOWN");
  PyObject* begun =
      threading == nullptr ? nullptr : PyDict_GetItemWithError(PyModule_GetDict(threading), name);
  if (begun != Py_True) return false;
  PyErr_SetString(PyExc_RuntimeError, "can't create new thread at interpreter shutdown");
  return true;
}

CoroutineObject* start_audited(PyObject* function, PyObject* arguments,
                               PyObject* keywords) noexcept {
  if (PySys_Audit("_thread.start_new_thread", "OOO", function, arguments,
                  keywords != nullptr ? keywords : Py_None) < 0) {
    return nullptr;
  }
  if (is_too_late()) return nullptr;
  return spawn_thread(function, arguments, keywords, true);
}

PyObject* start_new_thread(PyObject* module, PyObject* const* arguments, Py_ssize_t count,
                           PyObject*) {
  PyObject* keywords = count == 3 ? arguments[2] : nullptr;
  if (count < 2 || count > 3 || !PyCallable_Check(arguments[0]) || !PyTuple_Check(arguments[1]) ||
      (keywords != nullptr && !PyDict_Check(keywords))) {
    return g_original.start_new_thread(module, arguments, count);  // says what is wrong
  }
  CoroutineObject* coroutine = start_audited(arguments[0], arguments[1], keywords);
  if (coroutine == nullptr) return nullptr;
  PyObject* ident = PyLong_FromUnsignedLong(coroutine->ident);
  Py_DECREF(coroutine);
  return ident;
}

// `given` may be nullptr for a new one. The handle, or empty with an exception set.
Ref start_with_handle(PyObject* function, PyObject* given, bool daemon) noexcept {
  if (given != nullptr && !Py_IS_TYPE(given, g_handle_type)) {
    PyErr_SetString(PyExc_TypeError, "'handle' must be a _ThreadHandle");
    return {};
  }
  if (PySys_Audit("_thread.start_joinable_thread", "OiO", function, static_cast<int>(daemon),
                  given != nullptr ? given : Py_None) < 0) {
    return {};
  }
  Ref handle = given != nullptr ? Ref::borrow(given)
                                : Ref::steal(handle_new(g_handle_type, nullptr, nullptr));
  if (!handle) return {};
  HandleObject* self = as_handle(handle.get());
  if (self->ident != 0 || self->done) {
    PyErr_SetString(PyExc_RuntimeError, "thread already started");
    return {};
  }
  self->coroutine = spawn_thread(function, nullptr, nullptr, daemon);
  if (self->coroutine == nullptr) {
    self->done = true;
    return {};
  }
  self->ident = self->coroutine->ident;
  return handle;
}

PyObject* start_joinable_thread(PyObject* module, PyObject* const* arguments, Py_ssize_t count,
                                PyObject* keywords) {
  static constexpr const char* kNames[] = {"function", "handle", "daemon", nullptr};
  PyObject* values[3];
  if (!parse_arguments("start_joinable_thread", arguments, count, keywords, kNames, 1, values) ||
      !PyCallable_Check(values[0])) {
    PyErr_Clear();
    return g_original.start_joinable_thread(module, arguments, count, keywords);  // says the same
  }
  const int daemon = values[2] == nullptr ? 1 : PyObject_IsTrue(values[2]);
  if (daemon < 0) return nullptr;
  return start_with_handle(values[0], values[1] == Py_None ? nullptr : values[1], daemon != 0)
      .release();
}

PyObject* replaced_make_thread_handle(PyObject*, PyObject* const* arguments, Py_ssize_t,
                                      PyObject*) {
  if (!PyLong_Check(arguments[0])) {
    PyErr_SetString(PyExc_TypeError, "ident must be an integer");
    return nullptr;
  }
  const unsigned long ident = PyLong_AsUnsignedLong(arguments[0]);
  if (ident == static_cast<unsigned long>(-1) && PyErr_Occurred()) return nullptr;
  return make_running_handle(ident);
}

PyObject* replaced_get_ident(PyObject*, PyObject* const*, Py_ssize_t, PyObject*) {
  return PyLong_FromUnsignedLong(current_ident());
}

// The OS thread's, asked of the kernel once.
PyObject* replaced_get_native_id(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  thread_local std::uint32_t generation = 0;
  thread_local unsigned long id = 0;
  const std::uint32_t current = fork_generation::current.load(std::memory_order_relaxed);
  if (id == 0 || generation != current) {
    const Ref asked = Ref::steal(g_original.get_native_id(self));
    if (!asked) return nullptr;
    id = PyLong_AsUnsignedLong(asked.get());
    generation = current;
  }
  return PyLong_FromUnsignedLong(id);
}

// After a fork in a coroutine that one is the main thread.
PyObject* replaced_get_main_thread_ident(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  Scheduler* scheduler = thread_state::main_scheduler();
  CoroutineObject* main = scheduler == nullptr ? nullptr : object_of(scheduler->main());
  return main == nullptr ? g_original.get_main_thread_ident(self)
                         : PyLong_FromUnsignedLong(main->ident);
}

PyObject* replaced_count(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  const Ref native = Ref::steal(g_original.count(self));
  if (!native) return nullptr;
  return PyLong_FromLong(PyLong_AsLong(native.get()) + thread_count());
}

// Waits for the threads that are no daemons, then for the native ones.
PyObject* replaced_shutdown(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  if (!can_block()) return nullptr;
  thread_state::ensure_scheduler();
  const Status status = wait([] { return no_thread_to_join().wait(Deadline::never()); });
  if (status != Status::kOk) return raise(status);
  return g_original.shutdown(self);
}

// What `import json` and the like need where each level of C recursion is given its worst
// case. Stacks are address space: natively a thread gets along with less of it.
constexpr std::size_t kLeastStackBytes = 256 * 1024;

// The original checks and remembers the size. Asked for nothing it sets the
// default, 0.
PyObject* replaced_stack_size(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                              PyObject*) {
  Ref previous = Ref::steal(g_original.stack_size(self, arguments, count));
  if (!previous) return nullptr;
  const Py_ssize_t wanted = count == 0 ? 0 : PyNumber_AsSsize_t(arguments[0], nullptr);
  Scheduler::set_stack_bytes(wanted == 0
                                 ? thread_state::default_stack_bytes()
                                 : std::max(static_cast<std::size_t>(wanted), kLeastStackBytes));
  return previous.release();
}

// A size set before us holds for coroutines too.
bool adopt_stack_size(PyObject* module) noexcept {
  const Ref size = Ref::steal(replaced_stack_size(module, nullptr, 0, nullptr));
  PyObject* argument = size.get();
  if (argument == nullptr) return false;
  return static_cast<bool>(Ref::steal(replaced_stack_size(module, &argument, 1, nullptr)));
}

// The name is the OS thread's, which all coroutines share: one of them keeps its
// name to itself, where coev shows it too.
PyObject* replaced_set_name(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject* keywords) {
  Scheduler* scheduler = Scheduler::find();
  if (scheduler == nullptr || &scheduler->current() == &scheduler->main() || count != 1 ||
      !PyUnicode_Check(arguments[0])) {
    return g_original.set_name(self, arguments, count, keywords);
  }
  CoroutineObject* coroutine = current_object();
  if (coroutine == nullptr) return nullptr;
  Py_XSETREF(coroutine->name, Py_NewRef(arguments[0]));
  Py_RETURN_NONE;
}

// How much of a name is kept is for the originals to say, which only know the OS
// thread's: that one has it for a moment.
PyObject* replaced_get_name(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  Ref thread_name = Ref::steal(g_original.get_name(self));
  Scheduler* scheduler = Scheduler::find();
  if (!thread_name || scheduler == nullptr || &scheduler->current() == &scheduler->main()) {
    return thread_name.release();
  }
  CoroutineObject* coroutine = current_object();
  if (coroutine == nullptr) return nullptr;
  if (coroutine->name == nullptr) return thread_name.release();
  const Ref set = Ref::steal(g_original.set_name(self, &coroutine->name, 1));
  if (!set) return nullptr;
  Ref name = Ref::steal(g_original.get_name(self));
  PyObject* previous = thread_name.get();
  const Ref restored = Ref::steal(g_original.set_name(self, &previous, 1));
  return name && restored ? name.release() : nullptr;
}

// --- time and idents --------------------------------------------------------------------

PyObject* replaced_sleep(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  const double seconds = PyFloat_Check(arguments[0])  ? PyFloat_AS_DOUBLE(arguments[0])
                         : PyLong_Check(arguments[0]) ? PyLong_AsDouble(arguments[0])
                                                      : -1.0;
  const bool ordinary = seconds >= 0.0 && seconds <= kTimeoutMax;
  if (!ordinary || is_closed()) {
    PyErr_Clear();
    return g_original.sleep(self, arguments, count);  // raises, or sleeps at exit
  }
  if (PySys_Audit("time.sleep", "O", arguments[0]) < 0) return nullptr;
  const Deadline deadline = seconds == 0.0 ? Deadline::at(0) : Deadline::after_seconds(seconds);
  Scheduler& scheduler = thread_state::scheduler();
  const Status status = wait([&] { return scheduler.sleep_until(deadline); });
  if (status == Status::kTimedOut) Py_RETURN_NONE;
  return raise(status);
}

// The coroutine with this ident; nullptr if it has ended. Borrowed.
CoroutineObject* coroutine_of(unsigned long ident) noexcept {
  CoroutineObject* found = nullptr;
  for_each_scheduler([&](Scheduler& scheduler) {
    for (Coroutine* slot = scheduler.all_slots(); slot != nullptr; slot = slot->all_next) {
      auto* object = static_cast<CoroutineObject*>(slot->owner);
      if (object != nullptr && object->ident == ident) found = object;
    }
  });
  return found;
}

// For functions that want a pthread_t. What is not the ident of a coroutine is
// passed on as it is.
template <Original Originals::*original>
PyObject* with_os_thread(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  const unsigned long ident = count == 0 ? 0 : PyLong_AsUnsignedLong(arguments[0]);
  if (PyErr_Occurred() != nullptr) PyErr_Clear();
  if (count == 0 || !is_coroutine_ident(ident)) {
    return (g_original.*original)(self, arguments, count, keywords);
  }
  const CoroutineObject* target = coroutine_of(ident);
  if (target == nullptr || target->slot() == nullptr) {
    errno = ESRCH;
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  const pthread_t thread = target->slot()->scheduler->os_thread();
  const Ref boxed = Ref::steal(PyLong_FromUnsignedLong(static_cast<unsigned long>(thread)));
  if (!boxed) return nullptr;
  PyObject* replaced[] = {boxed.get(), count > 1 ? arguments[1] : nullptr};
  return (g_original.*original)(self, replaced, count, keywords);
}

// A signal ends what its thread waits for, which then looks for exceptions, and
// waits again: also where the thread is a coroutine.
PyObject* replaced_pthread_kill(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                PyObject* keywords) {
  Ref result =
      Ref::steal(with_os_thread<&Originals::pthread_kill>(self, arguments, count, keywords));
  if (!result) return nullptr;
  CoroutineObject* target = coroutine_of(PyLong_AsUnsignedLong(arguments[0]));
  if (target != nullptr) interrupt(target);
  return result.release();
}

}  // namespace

PyObject* make_running_handle(unsigned long ident) noexcept {
  PyObject* handle = handle_new(g_handle_type, nullptr, nullptr);
  if (handle == nullptr) return nullptr;
  as_handle(handle)->ident = ident;
  as_handle(handle)->generation = fork_generation::current.load(std::memory_order_relaxed);
  return handle;
}

CoroutineObject* start_new(PyObject* function) noexcept {
  const Ref nothing = Ref::steal(PyTuple_New(0));
  return nothing ? start_audited(function, nothing.get(), nullptr) : nullptr;
}

CoroutineObject* start_joinable(PyObject* function, PyObject* handle, bool daemon) noexcept {
  const Ref started = start_with_handle(function, handle, daemon);
  if (!started) return nullptr;
  CoroutineObject* coroutine = as_handle(started.get())->coroutine;
  Py_INCREF(coroutine);
  return coroutine;
}

bool coroutine_has_ended(PyObject* object) noexcept {
  if (!Py_IS_TYPE(object, g_handle_type)) return false;
  const CoroutineObject* coroutine = as_handle(object)->coroutine;
  return coroutine != nullptr && coroutine->has_ended();
}

bool add_handle_type(PyObject* module) noexcept {
  g_handle_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&handle_spec));
  return g_handle_type != nullptr &&
         PyModule_AddObjectRef(module, "_ThreadHandle",
                               reinterpret_cast<PyObject*>(g_handle_type)) == 0;
}

bool install() noexcept {
  if (g_original.get_ident) return true;
  const Ref thread = Ref::steal(PyImport_ImportModule("_thread"));
  const Ref time = Ref::steal(PyImport_ImportModule("time"));
  const Ref signal = Ref::steal(PyImport_ImportModule("_signal"));
  if (!thread || !time || !signal) return false;
  Originals& o = g_original;
  return retarget<start_new_thread>(thread.get(), "start_new_thread", &o.start_new_thread) &&
         retarget<start_new_thread>(thread.get(), "start_new", &o.start_new) &&
         retarget<start_joinable_thread>(thread.get(), "start_joinable_thread",
                                         &o.start_joinable_thread) &&
         retarget<replaced_make_thread_handle>(thread.get(), "_make_thread_handle",
                                               &o.make_thread_handle) &&
         retarget<replaced_get_main_thread_ident>(thread.get(), "_get_main_thread_ident",
                                                  &o.get_main_thread_ident) &&
         retarget<replaced_get_ident>(thread.get(), "get_ident", &o.get_ident) &&
         retarget<replaced_get_native_id>(thread.get(), "get_native_id", &o.get_native_id) &&
         retarget<replaced_count>(thread.get(), "_count", &o.count) &&
         retarget<replaced_shutdown>(thread.get(), "_shutdown", &o.shutdown) &&
         retarget<replaced_stack_size>(thread.get(), "stack_size", &o.stack_size) &&
         adopt_stack_size(thread.get()) && retarget_native_handle(thread.get()) &&
         retarget<replaced_set_name>(thread.get(), "set_name", &o.set_name) &&
         retarget<replaced_get_name>(thread.get(), "_get_name", &o.get_name) &&
         retarget<replaced_sleep>(time.get(), "sleep", &o.sleep) &&
         retarget<replaced_pthread_kill>(signal.get(), "pthread_kill", &o.pthread_kill) &&
         retarget<with_os_thread<&Originals::pthread_getcpuclockid>>(
             time.get(), "pthread_getcpuclockid", &o.pthread_getcpuclockid);
}

}  // namespace coev::python::thread_module
