// Kernel modes: what a program has told the kernel about waiting, besides Python's timeout.
//
// O_NONBLOCK belongs to the open file, which a program may set by os.set_blocking() or
// fcntl(), here, through a duplicate or in another process; SO_RCVTIMEO, SO_SNDTIMEO and
// SO_RCVLOWAT belong to the socket. All count where the Python object has no timeout, and
// the wait then ends with EAGAIN. The kernel is asked before each wait, because nobody
// else knows; for the options only once somebody has used one.
// THREAD: any that holds the GIL.
#pragma once

#include <cstddef>

#include "core/time.h"

namespace coev::python::kernel_modes {

// When a wait of `fd` for `event`, kReadable or kWritable, ends by itself; at(0): it does not
// wait at all. Never asks for what coev itself has set (hidden_nonblocking).
[[nodiscard]] Deadline deadline(int fd, unsigned event) noexcept;

// How many bytes a read of the socket waits for; 1 unless the program wants more.
[[nodiscard]] std::size_t low_water(int fd) noexcept;

// The program has set this option of some socket.
void option_set(int level, int option) noexcept;
// A socket of unknown history came in.
void look_at(int fd) noexcept;

}  // namespace coev::python::kernel_modes
