// Blocking from Python: timeouts, interrupts and errors, the same for every call.
//
// An operation of the core that ends with kInterrupted was interrupted by an
// exception thrown into the coroutine, by a signal, or by nothing that concerns
// it any more. wait() finds out: it raises, or repeats the operation with its
// old deadline (PEP 475).
#pragma once

#include <Python.h>

#include "core/scheduler.h"
#include "core/status.h"
#include "core/time.h"
#include "python/cpython/thread_state.h"

namespace coev::python {

// Deals with the interrupt of the current coroutine. True: repeat the operation;
// false: an exception is set.
[[nodiscard]] bool handle_interrupt() noexcept;

// Runs `operation` until it is not merely interrupted. On kInterrupted an
// exception is set.
template <typename Operation>
Status wait(Operation operation) noexcept {
  for (;;) {
    const Status status = operation();
    if (status != Status::kInterrupted || !handle_interrupt()) return status;
  }
}

// Whether the calling code may block: not at the end of the interpreter, and not in a
// finalizer that runs between two coroutines.
[[nodiscard]] bool may_block() noexcept;
// may_block(), with RuntimeError set when it is false.
[[nodiscard]] bool can_block() noexcept;
// Whether the interpreter has come to its end: nothing blocks or switches any more.
[[nodiscard]] inline bool is_closed() noexcept { return thread_state::finalizing(); }

// Sets the Python exception for `status`; kInterrupted has one already.
// Always returns nullptr.
PyObject* raise(Status status) noexcept;

// Lets every other ready coroutine run once. SWITCHES: if one is ready. ERRORS: false with an
// exception set, before or after the others have run.
[[nodiscard]] bool yield_now() noexcept;
// Lets the coroutine that was spawned last run alone, if it may run now; else as yield_now().
[[nodiscard]] bool yield_to_newest() noexcept;
// For long loops without Python code: lets others run when this coroutine has computed for a
// millisecond, and other OS threads have the GIL when it was kept for CPython's switch interval
// of 5 ms. Where nothing may wait it does nothing. SWITCHES, ERRORS: as yield_now().
[[nodiscard]] bool give_way_if_due() noexcept;

}  // namespace coev::python
