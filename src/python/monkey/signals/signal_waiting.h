// Waiting for signals: signal.pause(), sigwait(), sigwaitinfo(), sigtimedwait(),
// made to suspend the coroutine instead of the OS thread.
//
// Signals should be blocked where they are waited for. The kernel hands a waiting
// thread those that have a handler also where they are not, and the handler sees
// nothing of it: they are caught meanwhile, and kept for the waiter.
#pragma once

#include <Python.h>

namespace coev::python::signal_waiting {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::signal_waiting
