// CPython's own locks and simple queues, made cooperative where they stand.
//
// The types _thread.lock, _thread.RLock and _queue.SimpleQueue, their objects,
// old and new, and bound methods taken from them long ago stay the same; their
// methods run our code, which keeps its state in the objects' own fields. So
// repr(), pickling errors, weak references and at-fork reinitialization go on
// working.
#pragma once

#include <Python.h>

#include "core/lock.h"

namespace coev::python::native_locks {

// False with ImportError set when the objects are not laid out as known; then
// nothing is changed.
[[nodiscard]] bool install() noexcept;

// Makes waiters for a _thread.lock look at it from time to time: the end of a
// native thread releases it behind our back.
[[nodiscard]] bool watch_release(PyObject* lock) noexcept;

// The lock in a _thread.lock or _thread.RLock; nullptr for anything else.
[[nodiscard]] Lock* find_lock(PyObject* object) noexcept;
[[nodiscard]] RecursiveLock* find_rlock(PyObject* object) noexcept;

// Releases a _thread.lock that the end of its thread releases.
void release_if_locked(PyObject* lock) noexcept;

}  // namespace coev::python::native_locks
