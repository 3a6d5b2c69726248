// Locks on files: fcntl.flock(), fcntl.lockf(), F_SETLKW by fcntl.fcntl(), and
// os.lockf(), made to suspend the coroutine instead of the OS thread.
//
// The kernel has nothing to wait for them with but a thread: so the original is
// asked again and again not to block, with pauses. Locks of POSIX belong to the
// process, so two coroutines do not exclude each other by them, as two threads
// do not.
#pragma once

#include <Python.h>

namespace coev::python::file_locks {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::file_locks
