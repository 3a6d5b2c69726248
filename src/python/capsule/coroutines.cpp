#include <new>

#include "python/api/switching.h"
#include "python/base/ref.h"
#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"
#include "python/waiting/coroutine_object.h"

namespace coev::python {
CoroutineObject* check_coroutine(PyObject* object) noexcept {
  if (Py_IS_TYPE(object, coroutine_type)) return reinterpret_cast<CoroutineObject*>(object);
  PyErr_Format(PyExc_TypeError, "expected a coev.Coroutine, not %.100s", Py_TYPE(object)->tp_name);
  return nullptr;
}

namespace {

// A C function as a Python callable: the bound object carries the pointers, and
// dies with the last call or without one.
struct NativeCall {
  int (*function)(void*);
  void* argument;
  void (*release)(void*);
};
constexpr const char* kNativeCall = "coev.native_call";

void release_argument(void (*release)(void*), void* argument) noexcept {
  if (release == nullptr) return;
  const Ref exception = Ref::steal(PyErr_Occurred() ? thread_state::take_exception() : nullptr);
  release(argument);
  if (PyErr_Occurred()) PyErr_WriteUnraisable(nullptr);
  if (exception) {
    thread_state::set_exception(exception.get());
  }
}

void free_native_call(PyObject* capsule) {
  auto* call = static_cast<NativeCall*>(PyCapsule_GetPointer(capsule, kNativeCall));
  release_argument(call->release, call->argument);
  delete call;
}

PyObject* run_native(PyObject* self, PyObject*) {
  auto* call = static_cast<NativeCall*>(PyCapsule_GetPointer(self, kNativeCall));
  if (call == nullptr || call->function(call->argument) < 0) return nullptr;
  Py_RETURN_NONE;
}

}  // namespace

PyObject* api_current() { return Py_XNewRef(reinterpret_cast<PyObject*>(current_object())); }

PyObject* api_spawn(PyObject* callable, PyObject* arguments, PyObject* keywords) {
  if (!PyCallable_Check(callable) || (arguments != nullptr && !PyTuple_Check(arguments)) ||
      (keywords != nullptr && !PyDict_Check(keywords))) {
    PyErr_SetString(PyExc_TypeError, "spawn takes a callable, a tuple and a dict");
    return nullptr;
  }
  return reinterpret_cast<PyObject*>(spawn(callable, arguments, keywords));
}

uint64_t api_current_id() { return Scheduler::current_id(); }

uint32_t api_fork_generation() { return fork_generation::current.load(std::memory_order_relaxed); }

PyObject* api_spawn_native(int (*function)(void*), void* argument, void (*release)(void*)) {
  static PyMethodDef definition = {"native", run_native, METH_NOARGS, nullptr};
  auto* call = new (std::nothrow) NativeCall{function, argument, release};
  const Ref self = Ref::steal(call == nullptr ? PyErr_NoMemory()
                                              : PyCapsule_New(call, kNativeCall, free_native_call));
  if (!self) {
    release_argument(release, argument);
    delete call;
    return nullptr;
  }
  const Ref callable = Ref::steal(PyCFunction_New(&definition, self.get()));
  return callable ? reinterpret_cast<PyObject*>(spawn(callable.get(), nullptr, nullptr)) : nullptr;
}

int api_join(PyObject* object, double timeout) {
  CoroutineObject* coroutine = check_coroutine(object);
  if (coroutine == nullptr) return -1;
  if (coroutine->has_ended()) return 1;
  if (coroutine == current_object()) {
    PyErr_SetString(PyExc_RuntimeError, "cannot join current coroutine");
    return -1;
  }
  const Ref keep = Ref::borrow(object);
  const Deadline deadline = deadline_of(timeout);
  return block([&] { return coroutine->wait_for_end(deadline); });
}

int api_yield_now() {
  if (!can_block()) return -1;
  const Status status = thread_state::scheduler().yield();
  return status == Status::kInterrupted && !handle_interrupt() ? -1 : 0;
}

int api_give_way_if_due() { return give_way_if_due() ? 0 : -1; }

int api_sleep(double seconds) {
  const Deadline deadline = deadline_of(seconds);
  const int result = block([&] { return thread_state::scheduler().sleep_until(deadline); });
  return result < 0 ? -1 : 0;
}

PyObject* api_switch_to(PyObject* target, PyObject* value) {
  CoroutineObject* coroutine = check_coroutine(target);
  if (coroutine == nullptr) return nullptr;
  return switch_to(coroutine, value == nullptr ? Py_None : value);
}

int api_throw_into(PyObject* target, PyObject* exception) {
  CoroutineObject* coroutine = check_coroutine(target);
  if (coroutine == nullptr) return -1;
  const Ref done = Ref::steal(PyObject_CallMethod(target, "throw", "O", exception));
  return done ? 0 : -1;
}

}  // namespace coev::python
