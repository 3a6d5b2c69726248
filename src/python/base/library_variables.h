// Thread-local variables of a C library whose users take them for one thread's, given to each
// coroutine as its own: what stands in them changes with every switch.
//
// For greenlet, which keeps there the greenlets of a thread: each coroutine has a C stack of
// its own, so also greenlets of its own. One library, whose variables are few.
// GIL: held in every function.
#pragma once

#include <Python.h>

namespace coev::python::library_variables {

// Whether switched() has anything to do.
extern bool in_use;

// `coroutine`, any address that stands for it, gives way to `next` on this OS thread.
void switched(const void* coroutine, const void* next) noexcept;
// A coroutine that begins at this address has none of another one's.
void forget(const void* coroutine) noexcept;

// Takes the variables of the library that contains `inside`, if `works(fresh)` has proven that
// they are all that makes a thread: fresh() makes them as a new thread's and returns true, and
// as they were when it is called again. False if they are not found, or `works` says so; no
// exception is set.
using Fresh = void (*)(bool fresh);
[[nodiscard]] bool take(const void* inside, bool (*works)(Fresh fresh)) noexcept;

}  // namespace coev::python::library_variables
