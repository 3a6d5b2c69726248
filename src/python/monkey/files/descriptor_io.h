// os.read, readv, write, writev, sendfile, splice, eventfd_read, eventfd_write and
// open, made to suspend the coroutine instead of the OS thread. Files on disks are
// left to the originals; os.copy_file_range takes no others.
#pragma once

#include <Python.h>

namespace coev::python::descriptor_io {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

// Whether `path`, as open() takes it, names a FIFO: opening one waits for the
// other end. False also for what cannot be looked at. `directory`: a descriptor,
// or AT_FDCWD.
[[nodiscard]] bool is_fifo(PyObject* path, int directory) noexcept;

}  // namespace coev::python::descriptor_io
