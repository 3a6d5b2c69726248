// What every file of the binding shares: coev's C API, interned strings, exception classes.
// Filled once, when the module is imported.
#pragma once

#include <coev/coev.h>

#include <string_view>

#include "field_names.h"
#include "ref.h"

namespace coewsgi {

inline const coev_api* coev = nullptr;

// Keys of environ and names of methods. All are immortal: the module is never unloaded.
struct Strings {
  PyObject* request_method;
  PyObject* path_info;
  PyObject* query_string;
  PyObject* request_uri;
  PyObject* raw_uri;
  PyObject* server_protocol;
  PyObject* remote_addr;
  PyObject* remote_port;
  PyObject* content_type;
  PyObject* content_length;
  PyObject* http_host;
  PyObject* wsgi_input;
  PyObject* wsgi_errors;
  PyObject* wsgi_trailers;
  PyObject* early_hints;
  PyObject* client_disconnected;
  PyObject* early_hints_name;
  PyObject* client_disconnected_name;
  PyObject* http10;
  PyObject* http11;
  PyObject* empty;
  PyObject* close;
  PyObject* read;
  PyObject* fileno;
  PyObject* tell;
  PyObject* settimeout;
  PyObject* recv_into;
  PyObject* sendall;
  PyObject* pending;
};
inline Strings strings{};

struct Exceptions {
  PyObject* request_timeout;
  PyObject* bad_request;
  PyObject* client_disconnected;
  PyObject* frame_error;
  PyObject* coroutine_exit;  // coev's
};
inline Exceptions exceptions{};

// Field names seen by any server: the environ keys made for them live as long.
inline FieldNames field_names{};

// false: an exception is set.
bool prepare_runtime() noexcept;

// New reference; nullptr with an exception set.
PyObject* latin1(std::string_view text) noexcept;

// Whether the exception being raised is one that an application may raise and a server survives:
// not a kill, not an exit.
inline bool is_plain_exception() noexcept { return PyErr_ExceptionMatches(PyExc_Exception) != 0; }

}  // namespace coewsgi
