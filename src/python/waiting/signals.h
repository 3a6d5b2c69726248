// Signals: Python's handlers run on the main coroutine, and no signal waits for
// somebody to look.
//
// CPython's own handler in C only leaves a note. Behind it stands ours, which
// tells the running thread state (3.13 and later forget to) and wakes the
// scheduler of the main OS thread, so that a wait in the kernel ends.
//
// A handler in Python that becomes due while another coroutine runs is kept for
// the main coroutine, whose wait it interrupts; the other one gives way.
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/scheduler.h"

namespace coev::python::signals {

// Puts our handler behind every signal that has a handler in Python, and behind
// those that get one later. False with an exception set.
[[nodiscard]] bool install() noexcept;

// Runs the handlers that are due on this coroutine. False: one has raised.
[[nodiscard]] bool run_pending() noexcept;

// A hook of the core: interrupts the main coroutine.
void signalled(Scheduler& scheduler) noexcept;

// How many signals have reached a handler of CPython so far.
[[nodiscard]] std::uint64_t handled_count() noexcept;
// Waits until it is no longer `seen`. REQUIRES: the main OS thread.
// SWITCHES: only if it still is. ERRORS: kInterrupted.
Status wait_for_next(std::uint64_t seen) noexcept;

// A signal was noted without the operating system (interrupt_main).
void note() noexcept;

// Gives `handler` a signal that the program does not use, and hides it from
// signal.getsignal(): CPython calls it on whichever coroutine runs. `lost` is
// called when the program wants that signal; false with an exception set.
// The signal's number; 0 if none is free; -1 with an exception set.
[[nodiscard]] int reserve(PyObject* handler, bool (*lost)() noexcept) noexcept;
[[nodiscard]] int reserved() noexcept;  // 0: none

}  // namespace coev::python::signals
