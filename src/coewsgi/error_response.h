// Responses of the server itself: a request is refused, the application failed.
#pragma once

#include "transport.h"

namespace coewsgi {

// "404 Not Found" and the like, of the statuses that this server sends.
std::string_view status_line(int status) noexcept;

// A short text/plain response that ends the connection. `without_body`: to a HEAD request.
// SWITCHES: only if the kernel's buffer is full.
Sent send_error(Connection& connection, int status, bool without_body) noexcept;

}  // namespace coewsgi
