// A socket.socket of Python's over a descriptor that was accepted here.
#pragma once

#include "ref.h"

namespace coewsgi {

// Blocking, without a timeout; owns the descriptor. New reference; nullptr with an exception set,
// and the descriptor stays the caller's.
PyObject* make_socket_object(int fd) noexcept;

}  // namespace coewsgi
