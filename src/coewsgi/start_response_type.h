// start_response, and the write() that it returns (PEP 3333).
#pragma once

#include "ref.h"
#include "request_head.h"
#include "response.h"

namespace coewsgi {

struct StartResponse {
  PyObject_HEAD vectorcallfunc vectorcall;
  Response response;
};

bool ready_start_response_type() noexcept;

// The connection's, for the next request; borrowed. nullptr with an exception set.
StartResponse* take_start_response(Connection& connection, const RequestHead& head) noexcept;
// The connection lets go of it.
void release_start_response(StartResponse* start) noexcept;

}  // namespace coewsgi
