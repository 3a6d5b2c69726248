#include "python/api/coroutine_type.h"

#include <structmember.h>

#include <new>

#include "python/api/switching.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/timeouts.h"

namespace coev::python {

namespace {

// --- running ----------------------------------------------------------------------

PyObject* refuse_exception() noexcept {
  PyErr_SetString(PyExc_TypeError, "throw() takes an exception or an exception class");
  return nullptr;
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

// --- methods ------------------------------------------------------------------------

// Waits for the end. False with an exception set.
bool join(CoroutineObject* self, PyObject* timeout) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline)) return false;
  if (self->has_ended()) return true;
  if (!can_block()) return false;
  if (self == current_object()) {
    PyErr_SetString(PyExc_RuntimeError, "cannot join current coroutine");
    return false;
  }
  const Ref keep = Ref::borrow(cast(self));
  const Status status = wait([&] { return self->wait_for_end(deadline); });
  if (status == Status::kOk) return true;
  raise(status);
  return false;
}

// Always returns nullptr.
PyObject* refuse_outcome() noexcept {
  PyErr_SetString(PyExc_RuntimeError, "the coroutine has been left behind by a fork");
  return nullptr;
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
  if (self->is_left_behind()) return refuse_outcome();
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
  if (self->is_left_behind()) {
    refuse_outcome();
    return thread_state::take_exception();
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

PyObject* method_throw(PyObject* object, PyObject* what) {
  CoroutineObject* self = cast(object);
  const Ref exception = Ref::steal(make_exception(what));
  if (!exception) return nullptr;
  if (self->has_ended()) {
    PyErr_SetString(PyExc_RuntimeError, "cannot throw into a finished coroutine");
    return nullptr;
  }
  if (!raise_or_throw(self, exception.get())) return nullptr;
  Py_RETURN_NONE;
}

PyObject* method_kill(PyObject* object, PyObject*) {
  CoroutineObject* self = cast(object);
  if (self->has_ended()) Py_RETURN_NONE;
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
      self->slot() == nullptr ? nullptr
                              : reinterpret_cast<PyObject*>(thread_state::frame_of(*self->slot())));
  if (!frame) {
    const Ref summary = Ref::steal(PyObject_GetAttrString(traceback.get(), "StackSummary"));
    return summary ? PyObject_CallNoArgs(summary.get()) : nullptr;
  }
  return PyObject_CallMethod(traceback.get(), "extract_stack", "O", frame.get());
}

PyObject* get_done(PyObject* self, void*) { return PyBool_FromLong(cast(self)->has_ended()); }
PyObject* get_started(PyObject* self, void*) { return PyBool_FromLong(cast(self)->started); }
PyObject* get_ident(PyObject* self, void*) { return PyLong_FromUnsignedLong(cast(self)->ident); }

PyObject* get_name(PyObject* object, void*) {
  CoroutineObject* self = cast(object);
  if (self->name == nullptr) {
    self->name = self->is_main ? PyUnicode_FromString("main")
                               : PyUnicode_FromFormat("coroutine-%lu", ordinal_of(self->ident));
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
  const char* state = self->is_left_behind()                            ? "left behind by a fork"
                      : self->has_ended()                               ? "finished"
                      : self->slot() == nullptr                         ? "finishing"
                      : !self->started && !self->is_main                ? "not started"
                      : self->slot()->state == CoroutineState::kRunning ? "running"
                      : self->slot()->state == CoroutineState::kReady   ? "ready"
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
     ":raises TimeoutError: it did not finish in time; it goes on.\n"
     ":raises RuntimeError: the coroutine has been left behind by a fork; exception() returns "
     "that."},
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
  watch_forks_of_coroutines();
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

}  // namespace coev::python
