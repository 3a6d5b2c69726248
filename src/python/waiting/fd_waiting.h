// Waiting for a file descriptor, over every interrupt that concerns nobody.
#pragma once

#include "core/readiness.h"

namespace coev::python {

// Readiness::wait(), repeated after interrupts. forget() also ends a wait that is between
// two attempts: a signal handler runs there, and may be what closes `fd`.
// SWITCHES, ERRORS: as Readiness::wait(); kInterrupted has its exception set.
Status wait_for_fd(int fd, unsigned events, Deadline deadline, const void* owner,
                   unsigned* ready) noexcept;

}  // namespace coev::python
