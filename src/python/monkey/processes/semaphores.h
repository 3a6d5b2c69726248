// Semaphores shared with other processes: multiprocessing's SemLock, underneath
// its locks, conditions, events, barriers and queues.
//
// The kernel has nothing to wait for one with but a thread, so whoever must wait
// gets one for that time. A recursive one belongs to a coroutine, and not to the
// OS thread that all share.
#pragma once

#include <Python.h>

namespace coev::python::semaphores {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::semaphores
