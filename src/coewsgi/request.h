// One request: the application is called, what it gives is sent, and the connection is
// left at the begin of the next request or not used again.
#pragma once

#include "connection.h"
#include "request_head.h"

namespace coewsgi {

enum class Next : std::uint8_t { kRequest, kEnd, kRaised };

// `head` is given back to the server; its `size` bytes stand at the begin of the
// connection's buffer.
// SWITCHES: usually.
Next serve_request(Connection& connection, RequestHead* head, std::size_t size) noexcept;

// A request that is refused: answered with the status, logged, never read on.
// SWITCHES: usually.
Next refuse_request(Connection& connection, int status) noexcept;

}  // namespace coewsgi
