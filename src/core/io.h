// Socket input and output that suspends the coroutine instead of the thread.
//
// Works on sockets in either mode: each call asks for MSG_DONTWAIT itself, so
// no flag of the open file, which other processes may share, is changed.
#pragma once

#include <cstddef>

#include "core/status.h"
#include "core/time.h"

namespace coev::io {

// All: SWITCHES: only if the kernel is not ready, or the coroutine's quota is
// spent. ERRORS: kTimedOut, kInterrupted (in both cases nothing was moved),
// kClosed, kSystemError (errno). `owner` as in Readiness::wait.
//
// A deadline that has passed still tries once. receive() gives 0 bytes at the
// end of the stream.
Status receive(int fd, void* buffer, std::size_t bytes, int flags, const void* owner,
               Deadline deadline, std::size_t* count) noexcept;
Status send(int fd, const void* buffer, std::size_t bytes, int flags, const void* owner,
            Deadline deadline, std::size_t* count) noexcept;

}  // namespace coev::io
