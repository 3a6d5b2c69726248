#include "python/monkey/locks/native_locks.h"

#include <algorithm>
#include <vector>

#include "core/lock.h"
#include "core/parking_lot.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/acquiring.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/timeouts.h"

namespace coev::python::native_locks {
namespace {

// How often to look whether a native thread has ended, which wakes nobody.
constexpr std::int64_t kLookIntervalNs = 2'000'000;

thread_state::LockLayout g_layout;
PyTypeObject* g_lock_type = nullptr;
PyTypeObject* g_rlock_type = nullptr;

struct Originals {
  Original acquire, acquire_lock, enter, release, release_lock, exit, locked, locked_lock;
};
Originals g_lock;
Originals g_rlock;
Original g_is_owned, g_release_save, g_acquire_restore, g_recursion_count;
Original g_queue_get, g_queue_get_nowait, g_queue_put, g_queue_put_nowait;

Lock& lock_of(PyObject* object) noexcept {
  return *reinterpret_cast<Lock*>(reinterpret_cast<char*>(object) + g_layout.lock_word);
}
RecursiveLock& rlock_of(PyObject* object) noexcept {
  return *reinterpret_cast<RecursiveLock*>(reinterpret_cast<char*>(object) + g_layout.rlock_owner);
}

PyObject* finish_acquire(Status status) noexcept {
  if (status == Status::kOk) Py_RETURN_TRUE;
  if (status == Status::kTimedOut) Py_RETURN_FALSE;
  return raise(status);
}

// Whether CPython takes no `blocking` or `timeout` of such a type, which differs
// by version. REQUIRES: arguments that it refuses with ValueError, after a look
// at their types, or they would acquire the lock.
bool refuses_type(const Original& acquire, PyObject* self, PyObject* blocking,
                  PyObject* timeout) noexcept {
  PyObject* arguments[] = {blocking, timeout};
  const Ref result = Ref::steal(acquire(self, arguments, 2));
  const bool refused = !result && !PyErr_ExceptionMatches(PyExc_ValueError);
  PyErr_Clear();
  return refused;
}

// As parse_acquire(), as strict as CPython.
AcquireMode parse_native_acquire(const Original& acquire, PyObject* self,
                                 PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                                 Deadline* deadline) noexcept {
  const AcquireMode mode = parse_acquire(arguments, count, keywords, deadline);
  if (mode == AcquireMode::kInvalid || (count == 0 && keywords == nullptr)) return mode;
  static constexpr const char* kNames[] = {"blocking", "timeout", nullptr};
  PyObject* values[2];
  if (!parse_arguments("acquire", arguments, count, keywords, kNames, 0, values)) return mode;
  if (values[0] != nullptr && !PyBool_Check(values[0])) {
    const Ref negative = Ref::steal(PyFloat_FromDouble(-2.0));
    if (!negative || refuses_type(acquire, self, values[0], negative.get())) {
      return AcquireMode::kInvalid;
    }
  }
  const bool is_number =
      values[1] == nullptr || PyFloat_Check(values[1]) || PyLong_Check(values[1]);
  if (!is_number && refuses_type(acquire, self, Py_False, values[1])) return AcquireMode::kInvalid;
  return mode;
}

// Locks that CPython itself releases. Few, and kept for good.
std::vector<PyObject*>& watched_locks() noexcept {
  static auto* const locks = new std::vector<PyObject*>;
  return *locks;
}

bool is_watched(PyObject* lock) noexcept {
  const std::vector<PyObject*>& locks = watched_locks();
  return !locks.empty() && std::find(locks.begin(), locks.end(), lock) != locks.end();
}

Status acquire_watched(Lock& lock, Deadline deadline) noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  while (!lock.try_acquire()) {
    if (deadline.passed()) return Status::kTimedOut;
    const Deadline look = Deadline::after(kLookIntervalNs);
    const Status status = scheduler.sleep_until(look.ns() < deadline.ns() ? look : deadline);
    if (status == Status::kInterrupted) return status;
  }
  return Status::kOk;
}

// --- _thread.lock ---------------------------------------------------------------------

PyObject* lock_acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  Lock& lock = lock_of(self);
  Deadline deadline = Deadline::never();
  switch (parse_native_acquire(g_lock.acquire, self, arguments, count, keywords, &deadline)) {
    case AcquireMode::kInvalid:
      PyErr_Clear();
      return g_lock.acquire(self, arguments, count, keywords);  // raises before it does anything
    case AcquireMode::kTry:
      return PyBool_FromLong(lock.try_acquire());
    case AcquireMode::kWait:
      break;
  }
  if (lock.acquire_free()) [[likely]]
    Py_RETURN_TRUE;
  if (!can_block()) return nullptr;
  const Ref keep = Ref::borrow(self);
  thread_state::ensure_scheduler();
  const bool watched = is_watched(self);
  return finish_acquire(
      wait([&] { return watched ? acquire_watched(lock, deadline) : lock.acquire(deadline); }));
}

PyObject* lock_release(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  const Status status = lock_of(self).release();
  if (status != Status::kOk) return raise(status);
  Py_RETURN_NONE;
}

// What __exit__() is given is an exception's type, value and traceback.
constexpr Py_ssize_t kExitArguments = 3;

PyObject* lock_exit(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  if (count != kExitArguments && g_lock.exit.counts_arguments()) {
    return g_lock.exit(self, arguments, count, keywords);  // raises
  }
  return lock_release(self, arguments, count, keywords);
}

PyObject* lock_locked(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  return PyBool_FromLong(lock_of(self).locked());
}

PyObject* lock_repr(PyObject* self) {
  return PyUnicode_FromFormat("<%s %s object at %p>",
                              lock_of(self).locked() ? "locked" : "unlocked",
                              Py_TYPE(self)->tp_name, self);
}

// --- _thread.RLock ----------------------------------------------------------------------

PyObject* rlock_acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  RecursiveLock& lock = rlock_of(self);
  const RecursiveLock::Owner owner = lock_owner();
  Deadline deadline = Deadline::never();
  switch (parse_native_acquire(g_rlock.acquire, self, arguments, count, keywords, &deadline)) {
    case AcquireMode::kInvalid:
      PyErr_Clear();
      return g_rlock.acquire(self, arguments, count, keywords);
    case AcquireMode::kTry:
      return PyBool_FromLong(lock.try_acquire(owner));
    case AcquireMode::kWait:
      break;
  }
  if (lock.acquire_free(owner)) [[likely]]
    Py_RETURN_TRUE;
  if (!can_block()) return nullptr;
  const Ref keep = Ref::borrow(self);
  thread_state::ensure_scheduler();
  return finish_acquire(wait([&] { return lock.acquire(owner, deadline); }));
}

PyObject* refuse_release() noexcept {
  PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
  return nullptr;
}

PyObject* rlock_release(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  if (rlock_of(self).release(lock_owner()) != Status::kOk) return refuse_release();
  Py_RETURN_NONE;
}

PyObject* rlock_exit(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) {
  if (count != kExitArguments && g_rlock.exit.counts_arguments()) {
    return g_rlock.exit(self, arguments, count, keywords);  // raises
  }
  return rlock_release(self, arguments, count, keywords);
}

PyObject* rlock_locked(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  return PyBool_FromLong(rlock_of(self).locked());
}

PyObject* rlock_is_owned(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  return PyBool_FromLong(rlock_of(self).owned_by(lock_owner()));
}

PyObject* rlock_recursion_count(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  RecursiveLock& lock = rlock_of(self);
  return PyLong_FromUnsignedLongLong(lock.owned_by(lock_owner()) ? lock.count() : 0);
}

PyObject* rlock_release_save(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  RecursiveLock& lock = rlock_of(self);
  if (!lock.locked()) return refuse_release();
  const RecursiveLock::Owner owner = lock_owner();
  const auto count = static_cast<unsigned long long>(lock.release_all(owner));
  return Py_BuildValue("KK", count, static_cast<unsigned long long>(owner));
}

PyObject* rlock_acquire_restore(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                PyObject*) {
  unsigned long long times = 0;
  unsigned long long owner = 0;
  if (count != 1 || !PyTuple_Check(arguments[0]) ||
      !PyArg_ParseTuple(arguments[0], "KK:_acquire_restore", &times, &owner)) {
    PyErr_Clear();
    return g_acquire_restore(self, arguments, count);  // says what is wrong
  }
  thread_state::ensure_scheduler();
  rlock_of(self).acquire_all(owner, times);
  Py_RETURN_NONE;
}

PyObject* rlock_repr(PyObject* self) {
  RecursiveLock& lock = rlock_of(self);
  return PyUnicode_FromFormat("<%s %s object owner=%llu count=%llu at %p>",
                              lock.locked() ? "locked" : "unlocked", Py_TYPE(self)->tp_name,
                              static_cast<unsigned long long>(lock.owner()),
                              static_cast<unsigned long long>(lock.count()), self);
}

// --- _queue.SimpleQueue -------------------------------------------------------------------

// One attempt. New reference, or nullptr with queue.Empty or MemoryError set: a
// get() that does not wait has nothing else to say. Every copy of the module has
// an Empty of its own.
PyObject* try_get(PyObject* self) noexcept {
  PyObject* no_wait[] = {Py_False};
  return g_queue_get(self, no_wait, 1);
}

// Parks until a put() wakes the longest waiter. Whoever is woken and leaves
// with nothing passes the wake-up on, so that no item is left lying.
Status wait_for_item(PyObject* self, Deadline deadline) noexcept {
  thread_state::ensure_scheduler();
  return parking_lot::park(self, deadline);
}

PyObject* get_or_wait(PyObject* self, Deadline deadline) noexcept {
  const Ref keep = Ref::borrow(self);
  for (;;) {
    PyObject* item = try_get(self);
    if (item != nullptr || PyErr_ExceptionMatches(PyExc_MemoryError)) return item;
    if (deadline.passed()) return nullptr;
    PyErr_Clear();
    if (!can_block()) return nullptr;
    const Status status = wait([&] { return wait_for_item(self, deadline); });
    if (status == Status::kTimedOut) continue;  // one more look: an item may have come
    if (status != Status::kOk) return raise(status);
  }
}

// The arguments of get(block=True, timeout=None). kInvalid: let the original say
// what is wrong with them.
AcquireMode parse_get(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                      Deadline* deadline) noexcept {
  static constexpr const char* kNames[] = {"block", "timeout", nullptr};
  PyObject* values[2];
  if (!parse_arguments("get", arguments, count, keywords, kNames, 0, values)) {
    return AcquireMode::kInvalid;
  }
  const int block = values[0] == nullptr ? 1 : PyObject_IsTrue(values[0]);
  if (block <= 0) return block == 0 ? AcquireMode::kTry : AcquireMode::kInvalid;
  if (values[1] == nullptr || values[1] == Py_None) return AcquireMode::kWait;
  if (!PyFloat_Check(values[1]) && !PyIndex_Check(values[1])) return AcquireMode::kInvalid;
  const double timeout = PyFloat_AsDouble(values[1]);
  if (PyErr_Occurred() || !(timeout >= 0.0 && timeout <= kTimeoutMax)) {
    return AcquireMode::kInvalid;
  }
  *deadline = Deadline::after_seconds(timeout);
  return AcquireMode::kWait;
}

PyObject* queue_get(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  Deadline deadline = Deadline::never();
  if (parse_get(arguments, count, keywords, &deadline) != AcquireMode::kWait) {
    PyErr_Clear();
    return g_queue_get(self, arguments, count, keywords);
  }
  return get_or_wait(self, deadline);
}

PyObject* queue_put(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  PyObject* result = g_queue_put(self, arguments, count, keywords);
  if (result != nullptr) parking_lot::wake_one(self);
  return result;
}

PyObject* queue_put_nowait(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  PyObject* result = g_queue_put_nowait(self, arguments, count, keywords);
  if (result != nullptr) parking_lot::wake_one(self);
  return result;
}

// --- installing ---------------------------------------------------------------------------

bool call_method(PyObject* object, const char* name) noexcept {
  return static_cast<bool>(Ref::steal(PyObject_CallMethod(object, name, nullptr)));
}

bool check(bool as_known) noexcept {
  if (!as_known && !PyErr_Occurred()) {
    PyErr_SetString(PyExc_ImportError,
                    "coev does not know how this interpreter lays out its lock objects");
  }
  return as_known;
}

// Watches the originals work on fresh objects.
bool probe_lock(PyObject* lock) noexcept {
  const Lock& word = lock_of(lock);
  return !word.locked() && call_method(lock, "acquire") && word.locked() &&
         call_method(lock, "release") && !word.locked();
}

bool probe_rlock(PyObject* rlock) noexcept {
  const RecursiveLock& fields = rlock_of(rlock);
  const auto twice = static_cast<std::uint64_t>(2 - g_layout.count_offset);
  return !fields.locked() && call_method(rlock, "acquire") && call_method(rlock, "acquire") &&
         fields.owned_by(PyThread_get_thread_ident()) && fields.count() == twice &&
         call_method(rlock, "release") && call_method(rlock, "release");
}

bool retarget_lock(PyObject* type) noexcept {
  reinterpret_cast<PyTypeObject*>(type)->tp_repr = lock_repr;
  return retarget<lock_acquire>(type, "acquire", &g_lock.acquire) &&
         retarget<lock_acquire>(type, "acquire_lock", &g_lock.acquire_lock) &&
         retarget<lock_acquire>(type, "__enter__", &g_lock.enter) &&
         retarget<lock_release>(type, "release", &g_lock.release) &&
         retarget<lock_release>(type, "release_lock", &g_lock.release_lock) &&
         retarget<lock_exit>(type, "__exit__", &g_lock.exit) &&
         retarget<lock_locked>(type, "locked", &g_lock.locked) &&
         retarget<lock_locked>(type, "locked_lock", &g_lock.locked_lock);
}

bool retarget_rlock(PyObject* type) noexcept {
  reinterpret_cast<PyTypeObject*>(type)->tp_repr = rlock_repr;
  return retarget<rlock_acquire>(type, "acquire", &g_rlock.acquire) &&
         retarget<rlock_acquire>(type, "__enter__", &g_rlock.enter) &&
         retarget<rlock_release>(type, "release", &g_rlock.release) &&
         retarget<rlock_exit>(type, "__exit__", &g_rlock.exit) &&
         retarget<rlock_locked>(type, "locked", &g_rlock.locked) &&
         retarget<rlock_is_owned>(type, "_is_owned", &g_is_owned) &&
         retarget<rlock_recursion_count>(type, "_recursion_count", &g_recursion_count) &&
         retarget<rlock_release_save>(type, "_release_save", &g_release_save) &&
         retarget<rlock_acquire_restore>(type, "_acquire_restore", &g_acquire_restore);
}

bool retarget_queue() noexcept {
  const Ref module = Ref::steal(PyImport_ImportModule("_queue"));
  if (!module) return false;
  const Ref type = Ref::steal(PyObject_GetAttrString(module.get(), "SimpleQueue"));
  return type && retarget<queue_get>(type.get(), "get", &g_queue_get) &&
         retarget<queue_put>(type.get(), "put", &g_queue_put) &&
         retarget<queue_put_nowait>(type.get(), "put_nowait", &g_queue_put_nowait);
}

// A recursive lock that is held while we come must count as ours do.
bool adopt_held_rlocks(PyTypeObject* type) noexcept {
  if (g_layout.count_offset == 0) return true;
  const Ref gc = Ref::steal(PyImport_ImportModule("gc"));
  const Ref objects =
      gc ? Ref::steal(PyObject_CallMethod(gc.get(), "get_objects", nullptr)) : Ref();
  if (!objects) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects.get()); ++i) {
    PyObject* object = PyList_GET_ITEM(objects.get(), i);
    if (PyObject_TypeCheck(object, type) && rlock_of(object).locked()) {
      rlock_of(object).adjust_count(static_cast<std::uint64_t>(g_layout.count_offset));
    }
  }
  return true;
}

}  // namespace

bool install() noexcept {
  if (g_lock.acquire) return true;
  g_layout = thread_state::lock_layout();
  release_lock_at_end = release_if_locked;
  const Ref module = Ref::steal(PyImport_ImportModule("_thread"));
  if (!module) return false;
  const Ref lock = Ref::steal(PyObject_CallMethod(module.get(), "allocate_lock", nullptr));
  const Ref rlock = Ref::steal(PyObject_CallMethod(module.get(), "RLock", nullptr));
  if (!lock || !rlock) return false;
  if (!check(probe_lock(lock.get()) && probe_rlock(rlock.get()))) return false;
  g_lock_type = Py_TYPE(lock.get());
  g_rlock_type = Py_TYPE(rlock.get());
  return retarget_lock(reinterpret_cast<PyObject*>(Py_TYPE(lock.get()))) &&
         retarget_rlock(reinterpret_cast<PyObject*>(Py_TYPE(rlock.get()))) &&
         adopt_held_rlocks(Py_TYPE(rlock.get())) && retarget_queue();
}

bool watch_release(PyObject* lock) noexcept {
  if (g_lock_type == nullptr || !Py_IS_TYPE(lock, g_lock_type)) {
    PyErr_SetString(PyExc_TypeError, "not a _thread.lock");
    return false;
  }
  watched_locks().push_back(Py_NewRef(lock));
  return true;
}

Lock* find_lock(PyObject* object) noexcept {
  return Py_IS_TYPE(object, g_lock_type) ? &lock_of(object) : nullptr;
}

RecursiveLock* find_rlock(PyObject* object) noexcept {
  return Py_IS_TYPE(object, g_rlock_type) ? &rlock_of(object) : nullptr;
}

void release_if_locked(PyObject* lock) noexcept {
  if (g_lock_type != nullptr && Py_IS_TYPE(lock, g_lock_type) && lock_of(lock).locked()) {
    static_cast<void>(lock_of(lock).release());
  } else if (g_lock_type == nullptr) {
    Ref::steal(PyObject_CallMethod(lock, "release", nullptr));
    PyErr_Clear();
  }
}

}  // namespace coev::python::native_locks
