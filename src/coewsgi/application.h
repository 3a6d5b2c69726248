// Calling the application, and the hooks that stand around it.
#pragma once

#include "response.h"

namespace coewsgi {

// Calls the application and sends what it returns. kRaised: an exception is set, which may come
// from the application.
// SWITCHES: as the application.
Sent run_application(Response& response, PyObject* environ) noexcept;

// An exception of the application, which is cleared: to on_error or environ["wsgi.errors"].
void report_exception(const Connection& connection, PyObject* environ) noexcept;

// The access log, if there is one. `status` and `fields` may be nullptr: a response of the server
// itself, whose status is `code`.
void log_access(const Connection& connection, PyObject* environ, PyObject* status, int code,
                PyObject* fields, std::int64_t body_bytes, Nanoseconds began) noexcept;

}  // namespace coewsgi
