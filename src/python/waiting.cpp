#include "python/waiting.h"

#include <signal.h>

#include "core/offload.h"
#include "core/readiness.h"
#include "python/arguments.h"
#include "python/blocking.h"
#include "python/collection_pause.h"
#include "python/coroutine_type.h"
#include "python/ref.h"

namespace coev::python {
namespace {

PyObject* function_sleep(PyObject*, PyObject* seconds) {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(seconds, &deadline) || !can_block()) return nullptr;
  Scheduler& scheduler = thread_state::scheduler();
  const Status status = wait([&] { return scheduler.sleep_until(deadline); });
  if (status == Status::kTimedOut) Py_RETURN_NONE;
  return raise(status);
}

// The common end of the functions that wait for an fd; the events seen, or -1.
long wait_for_fd(PyObject* object, unsigned events, PyObject* timeout) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline) || !can_block()) return -1;
  const int fd = parse_fd(object);
  if (fd < 0) return -1;
  unsigned ready = 0;
  Readiness& readiness = thread_state::scheduler().readiness();
  const Status status = wait([&] { return readiness.wait(fd, events, deadline, nullptr, &ready); });
  if (status == Status::kOk) return static_cast<long>(ready);
  raise(status);
  return -1;
}

PyObject* wait_for_one(const char* name, unsigned event, PyObject* const* arguments,
                       Py_ssize_t count, PyObject* keywords) noexcept {
  static constexpr const char* kNames[] = {"fd", "timeout", nullptr};
  PyObject* values[2];
  if (!parse_arguments(name, arguments, count, keywords, kNames, 1, values)) return nullptr;
  if (wait_for_fd(values[0], event, values[1]) < 0) return nullptr;
  Py_RETURN_NONE;
}

PyObject* function_wait_readable(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                                 PyObject* keywords) {
  return wait_for_one("wait_readable", kReadable, arguments, count, keywords);
}

PyObject* function_wait_writable(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                                 PyObject* keywords) {
  return wait_for_one("wait_writable", kWritable, arguments, count, keywords);
}

PyObject* function_wait(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  static constexpr const char* kNames[] = {"fd", "events", "timeout", nullptr};
  PyObject* values[3];
  if (!parse_arguments("wait", arguments, count, keywords, kNames, 2, values)) return nullptr;
  const long events = PyLong_AsLong(values[1]);
  if (events == -1 && PyErr_Occurred()) return nullptr;
  if (events <= 0 || (events & ~long{kReadable | kWritable}) != 0) {
    PyErr_SetString(PyExc_ValueError, "events must be READABLE, WRITABLE or both");
    return nullptr;
  }
  const long ready = wait_for_fd(values[0], static_cast<unsigned>(events), values[2]);
  return ready < 0 ? nullptr : PyLong_FromLong(ready);
}

// --- offload ------------------------------------------------------------------------

// A call into Python on a pool thread. The references are given back with the
// GIL, on whichever side discards the job. The call has the signal mask of its
// caller, for a process that it starts inherits it.
class CallJob final : public offload::Job {
 public:
  CallJob(PyObject* function, PyObject* arguments, PyObject* keywords) noexcept
      : function_(Py_NewRef(function)),
        arguments_(Py_XNewRef(arguments)),
        keywords_(Py_XNewRef(keywords)) {
    pthread_sigmask(SIG_SETMASK, nullptr, &signal_mask_);
  }

  void run() noexcept override {
    sigset_t own_mask;
    pthread_sigmask(SIG_SETMASK, &signal_mask_, &own_mask);
    call();
    pthread_sigmask(SIG_SETMASK, &own_mask, nullptr);
  }

  void call() noexcept {
    const PyGILState_STATE gil = PyGILState_Ensure();
    result_ = PyObject_Call(function_, arguments_, keywords_);
    if (result_ == nullptr) exception_ = thread_state::take_exception();
    PyGILState_Release(gil);
  }

  void discard() noexcept override {
    if (thread_state::finalizing()) return;
    const PyGILState_STATE gil = PyGILState_Ensure();
    Py_DECREF(function_);
    Py_XDECREF(arguments_);
    Py_XDECREF(keywords_);
    Py_XDECREF(result_);
    Py_XDECREF(exception_);
    delete this;
    PyGILState_Release(gil);
  }

  // New reference, or nullptr with the function's exception set.
  PyObject* take_outcome() noexcept {
    if (exception_ == nullptr) return std::exchange(result_, nullptr);
    thread_state::set_exception(exception_);
    return nullptr;
  }

 private:
  PyObject* function_;
  PyObject* arguments_;
  PyObject* keywords_;
  PyObject* result_ = nullptr;
  PyObject* exception_ = nullptr;
  sigset_t signal_mask_;
};

PyObject* function_offload(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  if (count == 0 || !PyCallable_Check(arguments[0])) {
    PyErr_SetString(PyExc_TypeError, "offload() takes a callable and its arguments");
    return nullptr;
  }
  const Ref positional = pack(arguments + 1, count - 1);
  const Ref named = pack_keywords(arguments + count, keywords);
  if (!positional || !named) return nullptr;
  return run_offloaded(arguments[0], positional.get(), named.get(), nullptr);
}

// --- timeout scopes -----------------------------------------------------------------

struct TimeoutObject;

struct ScopeTimer : Timer {
  TimeoutObject* scope;
};

// An armed timer owns a reference to its scope: whoever drops a scope without
// leaving it, or leaves it on another OS thread, cannot disarm it.
struct TimeoutObject {
  PyObject_HEAD std::int64_t ns;  // relative
  bool unlimited;
  bool expired;
  ScopeTimer timer;
  Scheduler* scheduler;     // whose timer it is; not owned
  CoroutineObject* inside;  // who runs the block; owned while it does
  PyObject* exception;      // what was thrown into the block; owned while it runs
};

TimeoutObject* as_timeout(PyObject* object) noexcept {
  return reinterpret_cast<TimeoutObject*>(object);
}

// The new exception, without a garbage collection: its finalizers would run in
// the middle of the scheduler.
PyObject* make_timeout_error(TimeoutObject* scope) noexcept {
  const CollectionPause pause;
  const Ref message = Ref::steal(PyUnicode_FromString("timed out"));
  Ref error =
      Ref::steal(message ? PyObject_CallOneArg(PyExc_TimeoutError, message.get()) : nullptr);
  // So that a TaskGroup can tell it from an error of the block itself.
  if (error &&
      PyObject_SetAttrString(error.get(), "scope", reinterpret_cast<PyObject*>(scope)) < 0) {
    error = Ref();
  }
  return error.release();
}

// An exception that was not raised in the block must not be raised outside.
// It is let go, for its traceback may lead back here.
void leave(TimeoutObject* self) noexcept {
  if (self->inside == nullptr) return;
  Scheduler* here = Scheduler::find();
  if (self->timer.armed() && here == self->scheduler) {
    here->timers().disarm(self->timer);
    Py_DECREF(self);  // never the last: the caller has one
  }
  if (self->exception != nullptr) withdraw(self->inside, self->exception);
  Py_CLEAR(self->exception);
  Py_CLEAR(self->inside);
}

// Called between two turns, with the GIL held.
void timeout_expired(Timer& timer) noexcept {
  TimeoutObject* self = static_cast<ScopeTimer&>(timer).scope;
  const Ref armed = Ref::steal(reinterpret_cast<PyObject*>(self));
  if (self->inside == nullptr) return;
  self->expired = true;
  if (self->inside->slot == nullptr) {  // it has ended in the middle of the block
    leave(self);
    return;
  }
  self->exception = make_timeout_error(self);
  if (self->exception == nullptr || !throw_into(self->inside, self->exception)) PyErr_Clear();
}

PyObject* timeout_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"seconds", nullptr};
  PyObject* seconds = nullptr;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:timeout", const_cast<char**>(names),
                                   &seconds)) {
    return nullptr;
  }
  std::int64_t ns = 0;
  if (seconds != Py_None && !parse_seconds(seconds, &ns)) return nullptr;
  auto* self = as_timeout(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  self->ns = ns < 0 ? 0 : ns;
  self->unlimited = seconds == Py_None || ns == INT64_MAX;
  self->timer = {};
  self->timer.expired = timeout_expired;
  self->timer.scope = self;
  return reinterpret_cast<PyObject*>(self);
}

PyObject* timeout_enter(PyObject* object, PyObject*) {
  TimeoutObject* self = as_timeout(object);
  if (self->inside != nullptr || self->timer.armed()) {
    PyErr_SetString(PyExc_RuntimeError, "this timeout is already in use");
    return nullptr;
  }
  CoroutineObject* current = current_object();
  if (current == nullptr) return nullptr;
  self->scheduler = current->slot->scheduler;
  if (!self->unlimited) {
    if (!self->scheduler->timers().arm(self->timer, Deadline::after(self->ns))) {
      return PyErr_NoMemory();
    }
    Py_INCREF(self);
  }
  self->expired = false;
  self->inside = current;
  Py_INCREF(current);
  return Py_NewRef(object);
}

PyObject* timeout_exit(PyObject* object, PyObject* const*, Py_ssize_t) {
  leave(as_timeout(object));
  Py_RETURN_FALSE;
}

PyObject* timeout_get_expired(PyObject* object, void*) {
  return PyBool_FromLong(as_timeout(object)->expired);
}

void timeout_dealloc(PyObject* object) {
  TimeoutObject* self = as_timeout(object);
  PyTypeObject* type = Py_TYPE(object);
  leave(self);
  type->tp_free(object);
  Py_DECREF(type);
}

PyMethodDef timeout_methods[] = {{"__enter__", timeout_enter, METH_NOARGS, nullptr},
                                 {"__exit__", as_method(timeout_exit), METH_FASTCALL, nullptr},
                                 {nullptr, nullptr, 0, nullptr}};

PyObject* timeout_get_active(PyObject* object, void*) {
  return PyBool_FromLong(as_timeout(object)->inside != nullptr);
}

PyGetSetDef timeout_attributes[] = {
    {"active", timeout_get_active, nullptr, "Whether its block is being run.", nullptr},
    {"expired", timeout_get_expired, nullptr, "Whether the time ran out in the block.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot timeout_slots[] = {
    {Py_tp_doc, const_cast<char*>(
                    "timeout(seconds)\n--\n\nA with block that may take so long: the call that "
                    "waits inside it when the time runs out raises TimeoutError. Scopes nest; "
                    "nothing is raised outside the block. The exception's attribute scope is this "
                    "object.\n\n"
                    ":param seconds: a number; None or infinity for no limit.")},
    {Py_tp_new, reinterpret_cast<void*>(timeout_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(timeout_dealloc)},
    {Py_tp_methods, timeout_methods},
    {Py_tp_getset, timeout_attributes},
    {0, nullptr}};

PyType_Spec timeout_spec = {"coev.timeout", sizeof(TimeoutObject), 0, Py_TPFLAGS_DEFAULT,
                            timeout_slots};

}  // namespace

PyObject* run_offloaded(PyObject* function, PyObject* arguments, PyObject* keywords,
                        PyObject* timeout, offload::Limit limit) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline) || !can_block()) return nullptr;
  // A job cannot be waited for twice: a signal handler must not end the wait.
  auto* job = new (std::nothrow) CallJob(function, arguments, keywords);
  if (job == nullptr) return PyErr_NoMemory();
  thread_state::ensure_scheduler();
  Status status = offload::submit(*job, limit);
  if (status == Status::kOk) {
    status = wait([&] { return offload::wait(*job, deadline); });
    if (status != Status::kOk) offload::abandon(*job);
  }
  if (status != Status::kOk) return raise(status);
  PyObject* result = job->take_outcome();
  job->discard();
  return result;
}

bool add_timeout_type(PyObject* module) noexcept {
  const Ref type = Ref::steal(PyType_FromSpec(&timeout_spec));
  return type && PyModule_AddObjectRef(module, "timeout", type.get()) == 0 &&
         PyModule_AddIntConstant(module, "READABLE", kReadable) == 0 &&
         PyModule_AddIntConstant(module, "WRITABLE", kWritable) == 0;
}

PyMethodDef waiting_functions[] = {
    {"sleep", function_sleep, METH_O,
     "sleep(seconds, /)\n--\n\nSuspend the current coroutine; None sleeps until it is "
     "interrupted.\n\nSwitches: always.\n\n:raises ValueError: negative or NaN."},
    {"wait_readable", as_method(function_wait_readable), METH_FASTCALL | METH_KEYWORDS,
     "wait_readable(fd, timeout=None)\n--\n\nWait until *fd* can be read without blocking.\n\n"
     "Switches: always.\n\n:param fd: a file descriptor, or an object with fileno().\n"
     ":param timeout: seconds; None waits without limit, 0 only looks.\n"
     ":raises TimeoutError: nothing became readable in time.\n"
     ":raises OSError: EBADF if *fd* is not open or was closed during the wait."},
    {"wait_writable", as_method(function_wait_writable), METH_FASTCALL | METH_KEYWORDS,
     "wait_writable(fd, timeout=None)\n--\n\nWait until *fd* can be written without blocking; "
     "else as wait_readable().\n\nSwitches: always."},
    {"wait", as_method(function_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait(fd, events, timeout=None)\n--\n\nWait for any of *events*, READABLE | WRITABLE, on "
     "*fd*; else as wait_readable().\n\nSwitches: always.\n\n:returns: the events seen."},
    {"offload", as_method(function_offload), METH_FASTCALL | METH_KEYWORDS,
     "offload(fn, /, *args, **kwargs)\n--\n\nRun ``fn(*args, **kwargs)`` on a real thread, for "
     "calls "
     "that block in C or on a disk, and return its result. When the wait is interrupted the call "
     "goes on by itself.\n\nSwitches: always."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
