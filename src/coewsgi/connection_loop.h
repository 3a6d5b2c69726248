// What one connection's coroutine does: PROXY header, TLS handshake, then head after head.
#pragma once

#include "connection.h"

namespace coewsgi {

// Serves requests until the connection ends. 0, or -1 with an exception set: a kill.
// SWITCHES: always.
int serve_connection(Connection& connection) noexcept;

}  // namespace coewsgi
