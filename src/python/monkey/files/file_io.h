// Files: the methods of io.FileIO suspend the coroutine where the file is a pipe,
// FIFO, terminal or socket; and coroutines that use one buffered object wait for
// one another, as threads do. So do open(), os.fdopen(), the pipes of subprocess,
// the standard streams and text files, which are all made from these two.
//
// CPython's lock in a buffered object counts by OS thread: it cannot tell two
// coroutines from one that re-enters. A Visit stands around each method that
// takes the lock; nothing is assumed about the object itself.
#pragma once

#include <Python.h>

namespace coev::python::file_io {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::file_io
