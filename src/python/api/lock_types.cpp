#include "python/api/lock_types.h"

#include <structmember.h>

#include <cmath>
#include <new>

#include "core/event.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/waiting/acquiring.h"
#include "python/waiting/blocking.h"
#include "python/waiting/timeouts.h"

namespace coev::python {

namespace {

constexpr const char* kTimeoutName[] = {"timeout", nullptr};

// True/False for an acquire that ended, or nullptr with an exception set.
PyObject* acquired_or_raise(Status status) noexcept {
  if (status == Status::kOk) Py_RETURN_TRUE;
  if (status == Status::kTimedOut) Py_RETURN_FALSE;
  return raise(status);
}

// The errors that threading's own locks report, for a type that has no original.
PyObject* invalid_acquire() noexcept {
  if (!PyErr_Occurred()) {
    PyErr_SetString(PyExc_ValueError,
                    "timeout must be a non-negative number that is not too large, and needs "
                    "blocking=True");
  }
  return nullptr;
}

// What Lock, RLock and Semaphore have in common: acquire(), if it may not wait, if it need
// not, and if it has to.
template <typename Try, typename AtOnce, typename Acquire>
PyObject* acquire_with(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                       Try try_acquire, AtOnce acquire_free, Acquire acquire) noexcept {
  Deadline deadline = Deadline::never();
  switch (parse_acquire(arguments, count, keywords, &deadline)) {
    case AcquireMode::kInvalid:
      return invalid_acquire();
    case AcquireMode::kTry:
      return PyBool_FromLong(try_acquire());
    case AcquireMode::kWait:
      break;
  }
  if (acquire_free()) Py_RETURN_TRUE;
  if (!can_block()) return nullptr;
  return acquired_or_raise(wait([&] { return acquire(deadline); }));
}

// A Python object around one object of the core.
template <typename Core>
struct Wrapper {
  PyObject_HEAD PyObject* weak_references;
  Core core;
};

template <typename Core>
Core& core_of(PyObject* object) noexcept {
  return reinterpret_cast<Wrapper<Core>*>(object)->core;
}

template <typename Core, typename... Arguments>
PyObject* make(PyTypeObject* type, Arguments... arguments) noexcept {
  PyObject* object = type->tp_alloc(type, 0);
  if (object != nullptr) new (&core_of<Core>(object)) Core(arguments...);
  return object;
}

template <typename Core>
void dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (reinterpret_cast<Wrapper<Core>*>(object)->weak_references != nullptr) {
    PyObject_ClearWeakRefs(object);
  }
  core_of<Core>(object).~Core();
  type->tp_free(object);
  Py_DECREF(type);
}

template <typename Core>
PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Wrapper<Core>, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

template <typename Core>
PyObject* new_without_arguments(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  if (PyTuple_GET_SIZE(arguments) != 0 || (keywords != nullptr && PyDict_GET_SIZE(keywords) != 0)) {
    return PyErr_Format(PyExc_TypeError, "%s() takes no arguments", type->tp_name);
  }
  return make<Core>(type);
}

// --- Lock -----------------------------------------------------------------------------

PyObject* lock_acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  Lock& lock = core_of<Lock>(self);
  return acquire_with(
      arguments, count, keywords, [&] { return lock.try_acquire(); },
      [&] { return lock.acquire_free(); },
      [&](Deadline deadline) { return lock.acquire(deadline); });
}

PyObject* lock_enter(PyObject* self, PyObject*) { return lock_acquire(self, nullptr, 0, nullptr); }

PyObject* lock_release(PyObject* self, PyObject*) {
  const Status status = core_of<Lock>(self).release();
  if (status != Status::kOk) return raise(status);
  Py_RETURN_NONE;
}

PyObject* lock_exit(PyObject* self, PyObject* const*, Py_ssize_t) {
  return lock_release(self, nullptr);
}

PyObject* lock_locked(PyObject* self, PyObject*) {
  return PyBool_FromLong(core_of<Lock>(self).locked());
}

constexpr const char* kAcquireDoc =
    "acquire($self, blocking=True, timeout=-1)\n--\n\n"
    "Take the lock; the longest waiter gets it first.\n\n"
    "Switches: only if it is held.\n\n:param timeout: seconds; -1 waits without limit.\n"
    ":returns: whether it was taken.";
constexpr const char* kReleaseDoc =
    "release($self)\n--\n\nGive the lock up, to the longest waiter if there is one.\n\n"
    "Switches: never.\n\n:raises RuntimeError: it is not held.";

PyMethodDef lock_methods[] = {
    {"acquire", as_method(lock_acquire), METH_FASTCALL | METH_KEYWORDS, kAcquireDoc},
    {"release", lock_release, METH_NOARGS, kReleaseDoc},
    {"locked", lock_locked, METH_NOARGS, "locked($self)\n--\n\nWhether somebody holds it."},
    {"__enter__", lock_enter, METH_NOARGS, nullptr},
    {"__exit__", as_method(lock_exit), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr}};

// --- RLock ----------------------------------------------------------------------------

PyObject* rlock_acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  RecursiveLock& lock = core_of<RecursiveLock>(self);
  const RecursiveLock::Owner owner = lock_owner();
  return acquire_with(
      arguments, count, keywords, [&] { return lock.try_acquire(owner); },
      [&] { return lock.acquire_free(owner); },
      [&](Deadline deadline) { return lock.acquire(owner, deadline); });
}

PyObject* rlock_enter(PyObject* self, PyObject*) {
  return rlock_acquire(self, nullptr, 0, nullptr);
}

PyObject* rlock_release(PyObject* self, PyObject*) {
  if (core_of<RecursiveLock>(self).release(lock_owner()) == Status::kOk) Py_RETURN_NONE;
  PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
  return nullptr;
}

PyObject* rlock_exit(PyObject* self, PyObject* const*, Py_ssize_t) {
  return rlock_release(self, nullptr);
}

PyObject* rlock_locked(PyObject* self, PyObject*) {
  return PyBool_FromLong(core_of<RecursiveLock>(self).locked());
}

PyMethodDef rlock_methods[] = {
    {"acquire", as_method(rlock_acquire), METH_FASTCALL | METH_KEYWORDS, kAcquireDoc},
    {"release", rlock_release, METH_NOARGS, kReleaseDoc},
    {"locked", rlock_locked, METH_NOARGS, "locked($self)\n--\n\nWhether somebody holds it."},
    {"__enter__", rlock_enter, METH_NOARGS, nullptr},
    {"__exit__", as_method(rlock_exit), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr}};

// --- Semaphore ------------------------------------------------------------------------

PyObject* semaphore_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"value", nullptr};
  Py_ssize_t value = 1;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|n:Semaphore", const_cast<char**>(names),
                                   &value)) {
    return nullptr;
  }
  if (value < 0) {
    PyErr_SetString(PyExc_ValueError, "semaphore initial value must be >= 0");
    return nullptr;
  }
  return make<Semaphore>(type, std::int64_t{value});
}

PyObject* semaphore_acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject* keywords) {
  Semaphore& semaphore = core_of<Semaphore>(self);
  return acquire_with(
      arguments, count, keywords, [&] { return semaphore.try_acquire(); },
      [&] { return semaphore.try_acquire(); },
      [&](Deadline deadline) { return semaphore.acquire(deadline); });
}

PyObject* semaphore_enter(PyObject* self, PyObject*) {
  return semaphore_acquire(self, nullptr, 0, nullptr);
}

PyObject* semaphore_release(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject* keywords) {
  static constexpr const char* kNames[] = {"n", nullptr};
  PyObject* value = nullptr;
  if (!parse_arguments("release", arguments, count, keywords, kNames, 0, &value)) return nullptr;
  const Py_ssize_t permits = value == nullptr ? 1 : PyLong_AsSsize_t(value);
  if (permits == -1 && PyErr_Occurred()) return nullptr;
  if (permits < 1) {
    PyErr_SetString(PyExc_ValueError, "n must be one or more");
    return nullptr;
  }
  core_of<Semaphore>(self).release(permits);
  Py_RETURN_NONE;
}

PyObject* semaphore_exit(PyObject* self, PyObject* const*, Py_ssize_t) {
  core_of<Semaphore>(self).release(1);
  Py_RETURN_NONE;
}

PyObject* semaphore_value(PyObject* self, void*) {
  return PyLong_FromLongLong(core_of<Semaphore>(self).permits());
}

PyMethodDef semaphore_methods[] = {
    {"acquire", as_method(semaphore_acquire), METH_FASTCALL | METH_KEYWORDS,
     "acquire($self, blocking=True, timeout=-1)\n--\n\nTake a permit.\n\n"
     "Switches: only if none is left.\n\n:returns: whether one was taken."},
    {"release", as_method(semaphore_release), METH_FASTCALL | METH_KEYWORDS,
     "release($self, n=1)\n--\n\nGive *n* permits back, to the longest waiters first.\n\n"
     "Switches: never."},
    {"__enter__", semaphore_enter, METH_NOARGS, nullptr},
    {"__exit__", as_method(semaphore_exit), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef semaphore_attributes[] = {
    {"value", semaphore_value, nullptr, "How many permits are left.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

// --- Event ----------------------------------------------------------------------------

PyObject* event_set(PyObject* self, PyObject*) {
  core_of<Event>(self).set();
  Py_RETURN_NONE;
}
PyObject* event_clear(PyObject* self, PyObject*) {
  core_of<Event>(self).clear();
  Py_RETURN_NONE;
}
PyObject* event_is_set(PyObject* self, PyObject*) {
  return PyBool_FromLong(core_of<Event>(self).is_set());
}

PyObject* event_wait(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) {
  Event& event = core_of<Event>(self);
  PyObject* timeout = nullptr;
  Deadline deadline = Deadline::never();
  if (!parse_arguments("wait", arguments, count, keywords, kTimeoutName, 0, &timeout) ||
      !parse_timeout(timeout, &deadline)) {
    return nullptr;
  }
  if (event.is_set()) Py_RETURN_TRUE;
  if (!can_block()) return nullptr;
  return acquired_or_raise(wait([&] { return event.wait(deadline); }));
}

PyMethodDef event_methods[] = {
    {"set", event_set, METH_NOARGS, "set($self)\n--\n\nWake every waiter.\n\nSwitches: never."},
    {"clear", event_clear, METH_NOARGS, "clear($self)\n--\n\nUnset the flag.\n\nSwitches: never."},
    {"is_set", event_is_set, METH_NOARGS, "is_set($self)\n--\n\nWhether the flag is set."},
    {"wait", as_method(event_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None)\n--\n\n"
     "Wait until the flag is set.\n\nSwitches: only if it is not.\n\n"
     ":returns: False if the timeout passed first."},
    {nullptr, nullptr, 0, nullptr}};

// --- Condition ------------------------------------------------------------------------

// A condition has a recursive lock of its own: it is a Wrapper of both.
struct LockedCondition {
  RecursiveLock lock;
  Condition condition;
};

PyObject* condition_acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject* keywords) {
  RecursiveLock& lock = core_of<LockedCondition>(self).lock;
  const RecursiveLock::Owner owner = lock_owner();
  return acquire_with(
      arguments, count, keywords, [&] { return lock.try_acquire(owner); },
      [&] { return lock.acquire_free(owner); },
      [&](Deadline deadline) { return lock.acquire(owner, deadline); });
}

PyObject* condition_enter(PyObject* self, PyObject*) {
  return condition_acquire(self, nullptr, 0, nullptr);
}

PyObject* condition_release(PyObject* self, PyObject*) {
  if (core_of<LockedCondition>(self).lock.release(lock_owner()) == Status::kOk) Py_RETURN_NONE;
  PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
  return nullptr;
}

PyObject* condition_exit(PyObject* self, PyObject* const*, Py_ssize_t) {
  return condition_release(self, nullptr);
}

bool require_ownership(LockedCondition& self, const char* what) noexcept {
  if (self.lock.owned_by(lock_owner())) return true;
  PyErr_Format(PyExc_RuntimeError, "cannot %s on un-acquired lock", what);
  return false;
}

// One wait; the lock is given up meanwhile and held again afterwards.
Status wait_once(LockedCondition& self, Deadline deadline) noexcept {
  const RecursiveLock::Owner owner = lock_owner();
  std::uint64_t count = 0;
  const Status status =
      self.condition.wait(deadline, [&] { count = self.lock.release_all(owner); });
  self.lock.acquire_all(owner, count);
  return status;
}

PyObject* condition_wait(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  LockedCondition& self = core_of<LockedCondition>(object);
  PyObject* timeout = nullptr;
  Deadline deadline = Deadline::never();
  if (!parse_arguments("wait", arguments, count, keywords, kTimeoutName, 0, &timeout) ||
      !parse_timeout(timeout, &deadline) || !can_block() || !require_ownership(self, "wait")) {
    return nullptr;
  }
  // What is due already must not cost us the lock, and our place with it.
  if (thread_state::scheduler().current().interrupt_pending && !handle_interrupt()) return nullptr;
  const Status status = wait_once(self, deadline);
  if (status != Status::kInterrupted) return acquired_or_raise(status);
  // A notification may have come while we were out of the queue: waiting again
  // could miss it.
  if (!handle_interrupt()) return nullptr;
  Py_RETURN_TRUE;
}

PyObject* condition_wait_for(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                             PyObject* keywords) {
  static constexpr const char* kNames[] = {"predicate", "timeout", nullptr};
  LockedCondition& self = core_of<LockedCondition>(object);
  PyObject* values[2];
  Deadline deadline = Deadline::never();
  if (!parse_arguments("wait_for", arguments, count, keywords, kNames, 1, values) ||
      !parse_timeout(values[1], &deadline) || !can_block() || !require_ownership(self, "wait")) {
    return nullptr;
  }
  for (;;) {
    Ref verdict = Ref::steal(PyObject_CallNoArgs(values[0]));
    const int holds = verdict ? PyObject_IsTrue(verdict.get()) : -1;
    if (holds < 0) return nullptr;
    if (holds > 0 || deadline.passed()) return verdict.release();
    // After any end of the wait the predicate decides: nothing can be missed.
    if (wait_once(self, deadline) == Status::kInterrupted && !handle_interrupt()) return nullptr;
  }
}

PyObject* notify(PyObject* object, std::size_t count) noexcept {
  LockedCondition& self = core_of<LockedCondition>(object);
  if (!require_ownership(self, "notify")) return nullptr;
  self.condition.notify(count);
  Py_RETURN_NONE;
}

PyObject* condition_notify(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  static constexpr const char* kNames[] = {"n", nullptr};
  PyObject* value = nullptr;
  if (!parse_arguments("notify", arguments, count, keywords, kNames, 0, &value)) return nullptr;
  const Py_ssize_t waiters = value == nullptr ? 1 : PyLong_AsSsize_t(value);
  if (waiters == -1 && PyErr_Occurred()) return nullptr;
  return notify(object, waiters < 0 ? 0 : static_cast<std::size_t>(waiters));
}

PyObject* condition_notify_all(PyObject* object, PyObject*) { return notify(object, SIZE_MAX); }

PyMethodDef condition_methods[] = {
    {"acquire", as_method(condition_acquire), METH_FASTCALL | METH_KEYWORDS, kAcquireDoc},
    {"release", condition_release, METH_NOARGS, kReleaseDoc},
    {"__enter__", condition_enter, METH_NOARGS, nullptr},
    {"__exit__", as_method(condition_exit), METH_FASTCALL, nullptr},
    {"wait", as_method(condition_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait($self, timeout=None)\n--\n\n"
     "Give the lock up, wait for a notification, and take the lock "
     "again. A signal handler that ran meanwhile may end the wait, too.\n\n"
     "Switches: always.\n\n:returns: False if the timeout passed first.\n"
     ":raises RuntimeError: the lock is not held."},
    {"wait_for", as_method(condition_wait_for), METH_FASTCALL | METH_KEYWORDS,
     "wait_for($self, predicate, timeout=None)\n--\n\n"
     "Wait until predicate() is true; it is called with "
     "the lock held.\n\nSwitches: only if it is not true at once.\n\n"
     ":returns: the last value of predicate()."},
    {"notify", as_method(condition_notify), METH_FASTCALL | METH_KEYWORDS,
     "notify($self, n=1)\n--\n\nWake the *n* longest waiters.\n\nSwitches: never."},
    {"notify_all", condition_notify_all, METH_NOARGS,
     "notify_all($self)\n--\n\nWake every waiter.\n\nSwitches: never."},
    {nullptr, nullptr, 0, nullptr}};

// --------------------------------------------------------------------------------------

template <typename Core>
bool add_type(PyObject* module, const char* name, const char* qualified, const char* doc,
              newfunc create, PyMethodDef* methods, PyGetSetDef* attributes) noexcept {
  static PyGetSetDef no_attributes[] = {{nullptr, nullptr, nullptr, nullptr, nullptr}};
  PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(doc)},
                         {Py_tp_new, reinterpret_cast<void*>(create)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(dealloc<Core>)},
                         {Py_tp_methods, methods},
                         {Py_tp_members, members<Core>},
                         {Py_tp_getset, attributes == nullptr ? no_attributes : attributes},
                         {0, nullptr}};
  PyType_Spec spec = {qualified, sizeof(Wrapper<Core>), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                      slots};
  const Ref type = Ref::steal(PyType_FromSpec(&spec));
  return type && PyModule_AddObjectRef(module, name, type.get()) == 0;
}

}  // namespace

bool add_lock_types(PyObject* module) noexcept {
  return add_type<Lock>(module, "Lock", "coev.Lock",
                        "Lock()\n--\n\nMutual exclusion; anybody may release it.",
                        new_without_arguments<Lock>, lock_methods, nullptr) &&
         add_type<RecursiveLock>(module, "RLock", "coev.RLock",
                                 "RLock()\n--\n\nMutual exclusion that its owner may take again.",
                                 new_without_arguments<RecursiveLock>, rlock_methods, nullptr) &&
         add_type<Semaphore>(module, "Semaphore", "coev.Semaphore",
                             "Semaphore(value=1)\n--\n\nA number of permits.", semaphore_new,
                             semaphore_methods, semaphore_attributes) &&
         add_type<Event>(module, "Event", "coev.Event",
                         "Event()\n--\n\nA flag that coroutines wait for.",
                         new_without_arguments<Event>, event_methods, nullptr) &&
         add_type<LockedCondition>(module, "Condition", "coev.Condition",
                                   "Condition()\n--\n\nNotification between holders of a lock; it "
                                   "brings a recursive lock of its own.",
                                   new_without_arguments<LockedCondition>, condition_methods,
                                   nullptr);
}

}  // namespace coev::python
