#include "python/monkey/locks/event_methods.h"

#include <array>
#include <cstdint>

#include "core/event.h"
#include "core/intrusive_list.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

bool g_conditions = false;  // somebody has asked for the Condition of some Event

PyObject* flag_name() noexcept {
  static PyObject* const name = PyUnicode_InternFromString("_flag");
  return name;
}

// 1, 0, or -1 with an exception set.
int has_condition(PyObject* event) noexcept {
  if (!g_conditions) [[likely]]
    return 0;
  static PyObject* const name = PyUnicode_InternFromString("_cond");
  const Ref attributes = Ref::steal(PyObject_GenericGetDict(event, nullptr));
  return attributes ? PyDict_Contains(attributes.get(), name) : -1;
}

// One who waits, on its own stack. A set() that comes while a signal interrupts the
// wait is not lost: `woken` keeps it.
struct Waiter : ListLink {
  PyObject* event = nullptr;  // borrowed
  Event woken;
};

constexpr std::size_t kBuckets = 1024;

// Those that a fork copied are empty in the child: the waiters' stacks may be gone.
// Guarded by the GIL.
IntrusiveList<Waiter>& waiters_of(PyObject* event) noexcept {
  static auto* const buckets = new std::array<IntrusiveList<Waiter>, kBuckets>;
  static std::uint32_t generation = 0;
  const std::uint32_t current = fork_generation::current.load(std::memory_order_relaxed);
  if (generation != current) [[unlikely]] {
    for (IntrusiveList<Waiter>& bucket : *buckets) bucket.clear();
    generation = current;
  }
  constexpr std::uint64_t kFibonacci = 0x9E3779B97F4A7C15;
  const std::uint64_t hash = (reinterpret_cast<std::uintptr_t>(event) >> 4) * kFibonacci;
  return (*buckets)[hash >> (64 - 10)];
}
static_assert(kBuckets == 1 << 10);

Status wait_for_set(PyObject* event, Deadline deadline) noexcept {
  Waiter self;
  self.event = event;
  waiters_of(event).push_back(self);
  const Status status = wait([&] { return self.woken.wait(deadline); });
  self.unlink();
  return status;
}

void wake_event(PyObject* event) noexcept {
  IntrusiveList<Waiter>& waiters = waiters_of(event);
  for (Waiter* waiter = waiters.first(); waiter != nullptr; waiter = waiters.next(*waiter)) {
    if (waiter->event == event) waiter->woken.set();
  }
}

// False: the Condition has to be used.
PyObject* change_flag(PyObject* event, PyObject* flag) noexcept {
  const int conditioned = has_condition(event);
  if (conditioned != 0) return conditioned < 0 ? nullptr : Py_NewRef(Py_False);
  const bool changed =
      flag == Py_True ? set_event(event) : PyObject_SetAttr(event, flag_name(), flag) == 0;
  return changed ? Py_NewRef(Py_True) : nullptr;
}

PyObject* event_set(PyObject*, PyObject* event) { return change_flag(event, Py_True); }
PyObject* event_clear(PyObject*, PyObject* event) { return change_flag(event, Py_False); }

PyObject* event_wake(PyObject*, PyObject* event) {
  wake_event(event);
  Py_RETURN_NONE;
}

PyObject* event_condition_made(PyObject*, PyObject*) {
  g_conditions = true;
  Py_RETURN_NONE;
}

PyObject* event_has_condition(PyObject*, PyObject* event) {
  const int conditioned = has_condition(event);
  return conditioned < 0 ? nullptr : PyBool_FromLong(conditioned);
}

// The result of waiting for `event`, whose flag is not set.
PyObject* wait_until_set(PyObject* event, Deadline deadline) noexcept {
  if (!can_block()) return nullptr;
  const Ref keep = Ref::borrow(event);
  thread_state::ensure_scheduler();
  const Status status = wait_for_set(event, deadline);
  if (status == Status::kInterrupted) return nullptr;
  return PyBool_FromLong(status == Status::kOk);
}

// None: wait by the Condition.
PyObject* event_wait(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_BadArgument();
    return nullptr;
  }
  PyObject* event = arguments[0];
  const int conditioned = has_condition(event);
  if (conditioned != 0) return conditioned < 0 ? nullptr : Py_NewRef(Py_None);
  Ref flag = Ref::steal(PyObject_GetAttr(event, flag_name()));
  const int is_set = flag ? PyObject_IsTrue(flag.get()) : -1;
  if (is_set != 0) return is_set < 0 ? nullptr : flag.release();
  Deadline deadline = Deadline::never();
  if (!parse_ordinary_timeout(arguments[1], &deadline)) Py_RETURN_NONE;
  return wait_until_set(event, deadline);
}

}  // namespace

bool event_has_flag_alone(PyObject* event) noexcept {
  const int conditioned = has_condition(event);
  if (conditioned < 0) PyErr_Clear();
  return conditioned == 0;
}

bool set_event(PyObject* event) noexcept {
  if (PyObject_SetAttr(event, flag_name(), Py_True) < 0) return false;
  wake_event(event);
  return true;
}

PyMethodDef event_functions[] = {
    {"_event_set", event_set, METH_O, nullptr},
    {"_event_clear", event_clear, METH_O, nullptr},
    {"_event_wake", event_wake, METH_O, nullptr},
    {"_event_wait", as_method(event_wait), METH_FASTCALL, nullptr},
    {"_event_condition_made", event_condition_made, METH_NOARGS, nullptr},
    {"_event_has_condition", event_has_condition, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
