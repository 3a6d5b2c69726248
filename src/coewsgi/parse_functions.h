// parse_requests() and parse_proxy_header(): what the server would read, for tests and tools.
#pragma once

#include "ref.h"

namespace coewsgi {

PyObject* parse_requests(PyObject* module, PyObject* args, PyObject* kwargs) noexcept;
PyObject* parse_proxy(PyObject* module, PyObject* data) noexcept;

}  // namespace coewsgi
