#include "python/api/switching.h"

#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"

namespace coev::python {
namespace {

PyObject* refuse(const char* why) noexcept {
  PyErr_SetString(PyExc_RuntimeError, why);
  return nullptr;
}

// Sets an exception, if `target` cannot be switched to now.
bool check_target(Scheduler& scheduler, CoroutineObject* target, PyObject* value) noexcept {
  if (target->slot() == nullptr) return refuse("cannot switch to a finished coroutine");
  if (target->slot()->scheduler != &scheduler) {
    return refuse("cannot switch to a coroutine of another OS thread");
  }
  if (target->slot() == &scheduler.current()) {
    return refuse("cannot switch to the current coroutine");
  }
  if (!scheduler.can_transfer_to(*target->slot())) {
    return refuse("cannot switch to a coroutine that waits for something else than a switch");
  }
  if (value != Py_None && !scheduler.awaits_transfer(*target->slot())) {
    PyErr_SetString(PyExc_TypeError,
                    "cannot pass a value to a coroutine that is not suspended in switch()");
    return false;
  }
  return true;
}

}  // namespace

PyObject* switch_to(CoroutineObject* target, PyObject* value) noexcept {
  if (!can_block()) return nullptr;
  CoroutineObject* self = current_object();
  if (self == nullptr) return nullptr;
  Scheduler& scheduler = *self->slot()->scheduler;
  if (scheduler.spend_transfer() == Status::kInterrupted && !handle_interrupt()) return nullptr;
  if (!check_target(scheduler, target, value)) return nullptr;
  if (self->slot()->interrupt_pending && !handle_interrupt()) return nullptr;
  if (scheduler.awaits_transfer(*target->slot())) Py_XSETREF(target->passed, Py_NewRef(value));
  Status status = scheduler.transfer_to(*target->slot(), Deadline::never());
  // Once suspended, only a switch or an exception ends it: a signal handler that
  // ran in between does not.
  if (status == Status::kInterrupted && handle_interrupt()) {
    status = wait([&] { return scheduler.await_transfer(Deadline::never()); });
  }
  PyObject* passed = self->passed;
  self->passed = nullptr;
  if (status == Status::kOk) return passed != nullptr ? passed : Py_NewRef(Py_None);
  Py_XDECREF(passed);
  return raise(status);
}

namespace {

PyObject* function_switch(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  PyObject* values[2] = {nullptr, nullptr};
  if (keywords == nullptr && (count == 1 || count == 2)) [[likely]] {
    for (Py_ssize_t i = 0; i < count; ++i) values[i] = arguments[i];
  } else {
    static constexpr const char* kNames[] = {"target", "value", nullptr};
    if (!parse_arguments("switch", arguments, count, keywords, kNames, 1, values)) return nullptr;
  }
  if (!Py_IS_TYPE(values[0], coroutine_type)) {
    PyErr_Format(PyExc_TypeError, "switch() takes a coev.Coroutine, not %.100s",
                 Py_TYPE(values[0])->tp_name);
    return nullptr;
  }
  return switch_to(reinterpret_cast<CoroutineObject*>(values[0]),
                   values[1] == nullptr ? Py_None : values[1]);
}

PyObject* function_yield_now(PyObject*, PyObject*) {
  return yield_now() ? Py_NewRef(Py_None) : nullptr;
}

PyObject* function_spawn(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  if (count == 0) {
    PyErr_SetString(PyExc_TypeError, "spawn() missing required argument 'fn'");
    return nullptr;
  }
  if (!PyCallable_Check(arguments[0])) {
    PyErr_Format(PyExc_TypeError, "spawn() takes a callable, not %.100s",
                 Py_TYPE(arguments[0])->tp_name);
    return nullptr;
  }
  Ref positional;  // and `named`: empty for none, which costs spawn() nothing
  if (count > 1) {
    positional = pack(arguments + 1, count - 1);
    if (!positional) return nullptr;
  }
  Ref named;
  if (keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0) {
    named = pack_keywords(arguments + count, keywords);
    if (!named) return nullptr;
  }
  return reinterpret_cast<PyObject*>(spawn(arguments[0], positional.get(), named.get()));
}

PyObject* function_current(PyObject*, PyObject*) {
  return Py_XNewRef(reinterpret_cast<PyObject*>(current_object()));
}

PyObject* function_main(PyObject*, PyObject*) {
  return Py_XNewRef(reinterpret_cast<PyObject*>(object_of(thread_state::scheduler().main())));
}

}  // namespace

PyMethodDef switching_functions[] = {
    {"spawn", as_method(function_spawn), METH_FASTCALL | METH_KEYWORDS,
     "spawn(fn, /, *args, **kwargs)\n--\n\nStart ``fn(*args, **kwargs)`` as a coroutine; it runs "
     "in "
     "the next turn.\n\nSwitches: never.\n\n"
     ":returns: a Coroutine.\n:raises RuntimeError: there is no memory for its stack."},
    {"switch", as_method(function_switch), METH_FASTCALL | METH_KEYWORDS,
     "switch(target, value=None)\n--\n\nSuspend the current coroutine until somebody switches "
     "back to it, and run *target* at once, whose own switch() returns *value*.\n\n"
     "Switches: always.\n\n"
     ":returns: the value passed by whoever switches back.\n"
     ":raises RuntimeError: *target* has finished, belongs to another OS thread, is the current "
     "coroutine, or waits for something else.\n"
     ":raises TypeError: a value for a coroutine that is not suspended in switch()."},
    {"yield_now", function_yield_now, METH_NOARGS,
     "yield_now()\n--\n\nLet every other ready coroutine run once.\n\n"
     "Switches: only if one is ready."},
    {"current", function_current, METH_NOARGS,
     "current()\n--\n\nThe running Coroutine; on an OS thread's own stack its main one."},
    {"main", function_main, METH_NOARGS, "main()\n--\n\nThe main Coroutine of this OS thread."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
