// wsgi.file_wrapper (PEP 3333): a file as a body, sent by sendfile(2) where that can be.
#pragma once

#include <cstdint>

#include "ref.h"
#include "response.h"

namespace coewsgi {

bool ready_file_wrapper_type() noexcept;
// Borrowed.
PyObject* file_wrapper_class() noexcept;
bool is_file_wrapper(PyObject* object) noexcept;

// Sends the file that `wrapper` holds. 1: all is sent or the client is lost; 0: that file has
// to be read block by block; -1: an exception is set.
// SWITCHES: only if the kernel's buffer is full.
int send_wrapped_file(Response& response, PyObject* wrapper) noexcept;

}  // namespace coewsgi
