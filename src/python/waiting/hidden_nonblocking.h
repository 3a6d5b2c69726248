// Hidden O_NONBLOCK: set on an open file whose user wants it to block.
//
// Some calls have no flag of their own for one time, so the open file must not
// block. os.get_blocking() keeps saying what the user set, and whoever takes the
// descriptor out of coev's hands gets that mode back.
// THREAD: any that holds the GIL.
#pragma once

namespace coev::python::hidden_nonblocking {

[[nodiscard]] bool is_set(int fd) noexcept;
// Does nothing to a file that does not block anyway. ERRORS: false with errno.
[[nodiscard]] bool set(int fd) noexcept;
// Gives a file its mode back if it is hidden.
void restore(int fd) noexcept;
// The file was given another mode, or `fd` is another file now.
void forget(int fd) noexcept;
void forget_range(int low, int high) noexcept;  // `high` not included

}  // namespace coev::python::hidden_nonblocking
