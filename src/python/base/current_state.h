// Which thread state is the current one, where CPython keeps that, and what else
// PyThreadState_Swap() changes.
//
// From 3.12 on that function gives up the GIL and takes it again: two mutexes and
// a condition variable around the write of a few words, of which the important
// ones are private. They are looked for and proven, on each OS thread for itself;
// where one is not found, the caller has PyThreadState_Swap().
// GIL: held in every function.
#pragma once

#include <Python.h>
#include <pthread.h>

namespace coev::python::current_state {

// CPython's own variable for this OS thread; nullptr until it has been found.
extern thread_local PyThreadState** t_variable __attribute__((tls_model("initial-exec")));

[[nodiscard]] inline bool is_found() noexcept { return t_variable != nullptr; }

// What PyThreadState_Get() returns, without a call where the variable has been found.
[[nodiscard]] inline PyThreadState* get() noexcept {
  return is_found() ? *t_variable : PyThreadState_Get();
}
// REQUIRES: is_found().
inline void set(PyThreadState* state) noexcept { *t_variable = state; }

// The thread-local variable of this OS thread that `getter` reads; nullptr if there is
// none. It may come to be nullptr for a moment.
[[nodiscard]] PyThreadState** find_variable(PyThreadState* (*getter)()) noexcept;

// The key under which PyGILState finds an OS thread's state, up to 3.14. False if there
// is none.
[[nodiscard]] bool find_gilstate_key(pthread_key_t* found) noexcept;

// Where an OS thread that waits for the GIL of `interpreter` looks up whom to ask
// for it, at `offset` in it; nullptr if the current thread state is not there.
[[nodiscard]] PyThreadState** find_gil_holder(PyInterpreterState* interpreter,
                                              std::size_t offset) noexcept;

}  // namespace coev::python::current_state
