#include "python/monkey/locks/condition_methods.h"

#include <cstdint>
#include <utility>

#include "core/lock.h"
#include "core/scheduler.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/locks/native_locks.h"
#include "python/waiting/acquiring.h"
#include "python/waiting/blocking.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

PyObject* name_of(const char* text) noexcept { return PyUnicode_InternFromString(text); }

// The lock of a Condition, of either kind.
class ConditionLock {
 public:
  explicit ConditionLock(PyObject* object) noexcept
      : plain_(native_locks::find_lock(object)), recursive_(native_locks::find_rlock(object)) {}

  [[nodiscard]] bool known() const noexcept { return plain_ != nullptr || recursive_ != nullptr; }
  [[nodiscard]] bool owned() const noexcept {
    return plain_ != nullptr ? plain_->locked() : recursive_->owned_by(lock_owner());
  }
  // How often it was taken.
  std::uint64_t release() noexcept {
    if (plain_ == nullptr) return recursive_->release_all(lock_owner());
    static_cast<void>(plain_->release());
    return 1;
  }
  // Takes it back; cannot be interrupted.
  void acquire(std::uint64_t count) noexcept {
    if (recursive_ != nullptr) return recursive_->acquire_all(lock_owner(), count);
    InterruptShield shield(Scheduler::get().current());
    while (plain_->acquire(Deadline::never()) != Status::kOk) shield.absorb();
  }

 private:
  Lock* plain_;
  RecursiveLock* recursive_;
};

// An attribute that a Condition itself has, not a subclass's idea of it. Empty, perhaps
// with an exception set, for anything else.
Ref attribute_of(PyObject* condition, PyObject* name) noexcept {
  static PyObject* const type = [] {
    const Ref module = Ref::steal(PyImport_ImportModule("threading"));
    return module ? PyObject_GetAttrString(module.get(), "Condition") : nullptr;
  }();
  if (reinterpret_cast<PyObject*>(Py_TYPE(condition)) != type) return Ref();
  return Ref::steal(PyObject_GetAttr(condition, name));
}

struct Parts {
  explicit Parts(PyObject* condition) noexcept {
    static PyObject* const lock_name = name_of("_lock");
    static PyObject* const waiters_name = name_of("_waiters");
    lock = attribute_of(condition, lock_name);
    if (lock) waiters = attribute_of(condition, waiters_name);
    PyErr_Clear();
  }
  explicit operator bool() const noexcept { return waiters && ConditionLock(lock.get()).known(); }
  Ref lock;
  Ref waiters;
};

PyObject* refuse(const char* why) noexcept {
  PyErr_SetString(PyExc_RuntimeError, why);
  return nullptr;
}

// A lock that is held, for one wait; the last one serves again.
PyObject* g_spare = nullptr;

Ref take_waiter() noexcept {
  if (g_spare != nullptr) return Ref::steal(std::exchange(g_spare, nullptr));
  static PyObject* const allocate = [] {
    const Ref module = Ref::steal(PyImport_ImportModule("_thread"));
    return module ? PyObject_GetAttrString(module.get(), "allocate_lock") : nullptr;
  }();
  Ref made = Ref::steal(allocate == nullptr ? nullptr : PyObject_CallNoArgs(allocate));
  if (made) static_cast<void>(native_locks::find_lock(made.get())->try_acquire());
  return made;
}

void give_back(Ref waiter) noexcept {
  if (g_spare == nullptr && Py_REFCNT(waiter.get()) == 1 &&
      native_locks::find_lock(waiter.get())->locked()) {
    g_spare = waiter.release();
  }
}

// Takes off a waiter that gave up. If a notify() had chosen it, the next one is
// notified. The exception that is set survives.
Status give_up(PyObject* waiters, PyObject* waiter, Status status) noexcept {
  static PyObject* const remove = name_of("remove");
  const Ref error =
      Ref::steal(PyErr_Occurred() != nullptr ? thread_state::take_exception() : nullptr);
  const Ref removed = Ref::steal(PyObject_CallMethodOneArg(waiters, remove, waiter));
  PyErr_Clear();
  const bool chosen = !removed;
  if (chosen && status == Status::kTimedOut) status = Status::kOk;  // in time, after all
  if (chosen && status == Status::kInterrupted && PyObject_Size(waiters) > 0) {
    notify_one(waiters);
    PyErr_Clear();
  }
  if (error) thread_state::set_exception(error.get());
  return status;
}

// Waits for the release of `waiter` without the Condition's lock. kInterrupted with an
// exception set.
Status wait_unlocked(ConditionLock& lock, PyObject* waiter, Deadline deadline) noexcept {
  const std::uint64_t count = lock.release();
  Lock& woken = *native_locks::find_lock(waiter);
  const Status status = wait([&] { return woken.acquire(deadline); });
  lock.acquire(count);
  return status;
}

}  // namespace

Status wait_for_notice(PyObject* lock, PyObject* waiters, Deadline deadline) noexcept {
  static PyObject* const append = name_of("append");
  thread_state::ensure_scheduler();
  Ref waiter = take_waiter();
  const Ref appended =
      Ref::steal(waiter ? PyObject_CallMethodOneArg(waiters, append, waiter.get()) : nullptr);
  if (!appended) return Status::kInterrupted;
  ConditionLock condition_lock(lock);
  Status status = wait_unlocked(condition_lock, waiter.get(), deadline);
  if (status != Status::kOk) status = give_up(waiters, waiter.get(), status);
  give_back(std::move(waiter));
  return status;
}

bool notify_one(PyObject* waiters) noexcept {
  static PyObject* const pop = name_of("popleft");
  const Ref waiter = Ref::steal(PyObject_CallMethodNoArgs(waiters, pop));
  if (!waiter) return false;
  Lock* lock = native_locks::find_lock(waiter.get());
  // A free one was notified before, and its waiter has not yet taken it off.
  return lock != nullptr && lock->release() == Status::kOk;
}

namespace {

// None: let the code in Python do it.
PyObject* condition_wait(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  Deadline deadline = Deadline::never();
  if (count != 2) return refuse("wait() takes a Condition and a timeout");
  const Parts parts(arguments[0]);
  if (!parts || !parse_ordinary_timeout(arguments[1], &deadline)) Py_RETURN_NONE;
  if (!ConditionLock(parts.lock.get()).owned()) return refuse("cannot wait on un-acquired lock");
  if (!can_block()) return nullptr;
  const Status status = wait_for_notice(parts.lock.get(), parts.waiters.get(), deadline);
  return status == Status::kInterrupted ? nullptr : PyBool_FromLong(status == Status::kOk);
}

// False: let the code in Python do it.
PyObject* condition_notify(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) return refuse("notify() takes a Condition and a number");
  const Parts parts(arguments[0]);
  if (!parts || !PyLong_CheckExact(arguments[1])) Py_RETURN_FALSE;
  if (!ConditionLock(parts.lock.get()).owned()) return refuse("cannot notify on un-acquired lock");
  int overflow = 0;
  long left = PyLong_AsLongAndOverflow(arguments[1], &overflow);
  if (overflow != 0) Py_RETURN_FALSE;
  while (left > 0 && PyObject_Size(parts.waiters.get()) > 0) {
    if (notify_one(parts.waiters.get())) --left;
    if (PyErr_Occurred() != nullptr) return nullptr;
  }
  Py_RETURN_TRUE;
}

}  // namespace

PyMethodDef condition_functions[] = {
    {"_condition_wait", as_method(condition_wait), METH_FASTCALL, nullptr},
    {"_condition_notify", as_method(condition_notify), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
