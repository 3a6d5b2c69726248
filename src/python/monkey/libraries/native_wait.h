// Waits of C libraries: a call of libc's that would block its OS thread, made by a library
// on behalf of a coroutine, perhaps without the GIL.
//
// An exception that ends such a wait cannot be raised there, because C code runs between
// the wait and Python. The call fails with ECANCELED, which no library takes for a reason
// to try again, and the exception is thrown into the coroutine: it strikes when Python
// code runs again, or in the coroutine's next wait.
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/scheduler.h"
#include "core/status.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"

namespace coev::python::libraries {

// Whether the running call may wait in the scheduler. Not on an OS thread without
// coroutines or that Python does not know, not at the end of the interpreter, between two
// coroutines, or in a child of fork before Python runs there. THREAD: any, with or
// without the GIL.
[[nodiscard]] bool may_wait_here() noexcept;

// In a child of fork, when Python runs there again. GIL: held.
void note_python_in_child() noexcept;
// Once, before the first wait.
void watch_forks() noexcept;

// Takes the GIL for a wait, whether the library has it or not, and hides the exception
// that may be set: what runs meanwhile must not see it.
class GilForWait {
 public:
  GilForWait() noexcept : gil_(PyGILState_Ensure()) {
    if (PyErr_Occurred()) hidden_ = thread_state::take_exception();
  }
  ~GilForWait();
  GilForWait(const GilForWait&) = delete;
  GilForWait& operator=(const GilForWait&) = delete;

  // Throws the exception that has ended the wait into the current coroutine.
  void postpone() noexcept;

 private:
  PyGILState_STATE gil_;
  PyObject* hidden_ = nullptr;
};

// Runs `operation`, which waits in the scheduler; signal handlers run meanwhile, and if
// none raises, the wait goes on. ERRORS: those of the operation; kInterrupted: errno is
// ECANCELED and no exception is set. REQUIRES: may_wait_here(). SWITCHES: as the operation.
template <typename Operation>
Status wait_natively(Operation operation) noexcept {
  GilForWait gil;
  const Status status = wait(operation);
  if (status == Status::kInterrupted) gil.postpone();
  return status;
}

// Waits for one fd. SWITCHES: always. ERRORS: as Readiness::wait().
[[nodiscard]] Status wait_for(int fd, unsigned event, Deadline deadline) noexcept;

// Lets others run for a moment, longer with each `attempt`. ERRORS: kInterrupted.
[[nodiscard]] Status pause(unsigned attempt) noexcept;

}  // namespace coev::python::libraries
