// Preemption: a coroutine that computes gives way to the others, as a thread does
// when its switch interval is over.
//
// A timer counts the CPU time of the main OS thread, so it costs nothing while
// all coroutines wait. Where it finds that nobody has switched for a whole
// interval it trips a signal inside CPython, without the operating system, and
// CPython calls its handler, which yields, between two instructions of Python.
//
// Only on the main OS thread: CPython looks for signals nowhere else.
#pragma once

#include <Python.h>

namespace coev::python::preemption {

// The interval is sys.getswitchinterval(), also when that changes. Does nothing
// when it has begun already. False with an exception set.
[[nodiscard]] bool install() noexcept;

// The running coroutine has an exception to raise that was thrown into it while C code ran
// which cannot raise it: CPython raises it between two instructions of its Python code, if
// that runs before another coroutine does, and else in its next wait. REQUIRES: the GIL.
void strike() noexcept;

// For good, before CPython takes its signal handlers away.
void stop() noexcept;

}  // namespace coev::python::preemption
