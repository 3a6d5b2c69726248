// environ: the dict that each request is given (PEP 3333).
//
// Made by copying: a template for each listener has every key that is the same for all or is
// always set; the last request's fields are kept with the dict made of them, because
// a client's next request usually repeats them byte by byte.
#pragma once

#include "connection.h"
#include "ref.h"
#include "request_head.h"

namespace coewsgi {

// The template: what the server was given, what this listener was given above, and the rest of
// the keys. New reference; nullptr with an exception set.
PyObject* make_template(PyObject* server_environ, PyObject* listener_environ) noexcept;

// For one request. `data` is the head, `size` its bytes. New reference; nullptr with an
// exception set.
PyObject* make_environ(Connection& connection, const char* data, std::size_t size,
                       const RequestHead& head, PyObject* input) noexcept;

// For a request that was refused: who sent it, and how it begins.
PyObject* make_refused_environ(Connection& connection, std::string_view head) noexcept;

// REMOTE_ADDR and REMOTE_PORT, once a connection. false: an exception is set.
bool make_peer_objects(Connection& connection) noexcept;

}  // namespace coewsgi
