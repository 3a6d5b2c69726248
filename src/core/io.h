// Socket input and output that suspends the coroutine instead of the thread.
//
// Works on sockets in either mode: each call asks for MSG_DONTWAIT itself, so
// no flag of the open file, which other processes may share, is changed.
#pragma once

#include <cstddef>

#include "core/status.h"
#include "core/time.h"

namespace coev::io {

// When the kernel itself would end a wait for `event` on `fd`, were the call one of the
// operating system: Deadline::at(0) for a file that does not block. Asked once a call,
// before it waits.
using KernelDeadline = Deadline (*)(int fd, unsigned event);

// All: SWITCHES: only if the kernel is not ready, or the coroutine's quota is
// spent. ERRORS: kTimedOut, kInterrupted (in both cases nothing was moved),
// kClosed, kSystemError (errno). `owner` as in Readiness::wait. `kernel` counts where
// there is no `deadline`; nullptr: the modes of the open file do not matter.
//
// A deadline that has passed still tries once. receive() gives 0 bytes at the
// end of the stream.
Status receive(int fd, void* buffer, std::size_t bytes, int flags, const void* owner,
               Deadline deadline, std::size_t* count, KernelDeadline kernel = nullptr) noexcept;
Status send(int fd, const void* buffer, std::size_t bytes, int flags, const void* owner,
            Deadline deadline, std::size_t* count, KernelDeadline kernel = nullptr) noexcept;

// Whether nothing more will be received: by shutdown() here, or the peer's end.
[[nodiscard]] bool is_receiving_shut(int fd) noexcept;

}  // namespace coev::io
