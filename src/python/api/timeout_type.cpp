#include "python/api/timeout_type.h"

#include <new>
#include <utility>

#include "core/readiness.h"
#include "core/scheduler.h"
#include "python/base/ref.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

struct TimeoutObject;

struct ScopeTimer : Timer {
  TimeoutObject* scope;
};

class TimeoutScope final : public Scope {
 public:
  explicit TimeoutScope(TimeoutObject* object) noexcept : object_(object) {}
  PyObject* make_exception() noexcept override;
  void abandon() noexcept override;

 private:
  TimeoutObject* object_;  // not owned: the scope is a part of it
};

// An armed timer owns a reference to its scope: whoever drops a scope without
// leaving it, or leaves it on another OS thread, cannot disarm it.
struct TimeoutObject {
  PyObject_HEAD std::int64_t ns;  // relative
  bool unlimited;
  bool expired;
  ScopeTimer timer;
  TimeoutScope scope;
  Scheduler* scheduler;     // whose timer it is; not owned
  CoroutineObject* inside;  // who runs the block, which leaves it when that ends; not owned
  PyObject* exception;      // what was raised in the block; owned while it runs
};

TimeoutObject* as_timeout(PyObject* object) noexcept {
  return reinterpret_cast<TimeoutObject*>(object);
}

PyObject* TimeoutScope::make_exception() noexcept {
  const Ref message = Ref::steal(PyUnicode_FromString("timed out"));
  Ref error =
      Ref::steal(message ? PyObject_CallOneArg(PyExc_TimeoutError, message.get()) : nullptr);
  // So that a TaskGroup can tell it from an error of the block itself.
  if (!error ||
      PyObject_SetAttrString(error.get(), "scope", reinterpret_cast<PyObject*>(object_)) < 0) {
    return nullptr;
  }
  Py_XSETREF(object_->exception, Py_NewRef(error.get()));
  return error.release();
}

// An exception that was not raised in the block must not be raised outside.
// It is let go, for its traceback may lead back here.
void leave(TimeoutObject* self) noexcept {
  if (self->inside == nullptr) return;
  self->scope.unlink();
  self->scope.due = false;
  CoroutineObject* inside = std::exchange(self->inside, nullptr);
  const Ref exception = Ref::steal(std::exchange(self->exception, nullptr));
  if (exception) withdraw(inside, exception.get());
  Scheduler* here = Scheduler::find();
  if (self->timer.armed() && here == self->scheduler) {
    here->timers().disarm(self->timer);
    Py_DECREF(self);  // never the last: the caller has one
  }
}

void TimeoutScope::abandon() noexcept {
  const Ref keep = Ref::borrow(reinterpret_cast<PyObject*>(object_));
  leave(object_);
}

// Called between two turns, with the GIL held. The timer's reference may be the last one only
// after leave(), when nothing else goes with it.
void timeout_expired(Timer& timer) noexcept {
  TimeoutObject* self = static_cast<ScopeTimer&>(timer).scope;
  if (self->inside != nullptr) {
    self->expired = self->scope.due = true;
    interrupt(self->inside);
  }
  Py_DECREF(self);
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
  new (&self->scope) TimeoutScope(self);
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
  self->scheduler = current->slot()->scheduler;
  if (!self->unlimited) {
    if (!self->scheduler->timers().arm(self->timer, Deadline::after(self->ns))) {
      return PyErr_NoMemory();
    }
    Py_INCREF(self);
  }
  self->expired = false;
  self->inside = current;
  current->scopes.push_back(self->scope);
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

bool add_timeout_type(PyObject* module) noexcept {
  const Ref type = Ref::steal(PyType_FromSpec(&timeout_spec));
  return type && PyModule_AddObjectRef(module, "timeout", type.get()) == 0 &&
         PyModule_AddIntConstant(module, "READABLE", kReadable) == 0 &&
         PyModule_AddIntConstant(module, "WRITABLE", kWritable) == 0;
}

}  // namespace coev::python
