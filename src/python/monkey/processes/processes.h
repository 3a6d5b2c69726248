// Waiting for child processes, without blocking the OS thread: os.wait() and its
// relatives, and os.system().
//
// The original looks, with WNOHANG; if there is nothing to see, the coroutine
// waits until a look is worth while and has it look again. So what comes out, and
// who gets it, is the kernel's word each time: no child is reaped that was not
// asked for, and none is missed.
#pragma once

#include <Python.h>

namespace coev::python::processes {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::processes
