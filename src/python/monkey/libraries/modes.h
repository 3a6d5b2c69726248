// What the kernel has been told of an fd's waits: whether calls block, and for how long.
#pragma once

#include "core/time.h"

namespace coev::python::libraries {

[[nodiscard]] bool would_block(int error) noexcept;
// Whether calls on `fd` wait, because O_NONBLOCK is not set. Leaves errno as it was.
[[nodiscard]] bool blocks(int fd) noexcept;
// When SO_RCVTIMEO and SO_SNDTIMEO end a call that begins now.
[[nodiscard]] Deadline receive_deadline(int fd) noexcept;
[[nodiscard]] Deadline send_deadline(int fd) noexcept;

// Waits until there is something to read, an end or an error. Returns false when the wait
// was interrupted, with errno ECANCELED. REQUIRES: may_wait_here().
bool wait_for_input(int fd) noexcept;
// Likewise for room to write.
bool wait_for_room(int fd) noexcept;

}  // namespace coev::python::libraries
