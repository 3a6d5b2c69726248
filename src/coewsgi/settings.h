// What a server was asked to be: the arguments of Server(), in the units used inside.
#pragma once

#include <string>

#include "clock.h"
#include "ref.h"
#include "request_head.h"

namespace coewsgi {

struct Settings {
  // Python's arguments. false: an exception is set.
  bool parse(PyObject* args, PyObject* kwargs) noexcept;

  int traverse(visitproc visit, void* arg) noexcept;
  void clear() noexcept;

  HeadLimits head;
  std::int64_t body_bytes = 0;  // 0: no limit
  std::int64_t spill_bytes = 0;

  Nanoseconds handshake = 10 * kSecond;
  Nanoseconds head_time = 10 * kSecond;
  Nanoseconds body_grace = 20 * kSecond;
  std::int64_t body_rate = 500;  // bytes a second
  Nanoseconds write = 20 * kSecond;
  Nanoseconds keep_alive = 60 * kSecond;
  Nanoseconds request = 0;  // 0: no limit

  std::size_t connections = 10000;
  std::size_t per_address = 0;  // 0: no cap
  std::size_t buffered_bytes = 67108864;
  std::uint64_t requests = 0;  // 0: no call of on_max_requests

  std::string server_field;  // "Server: coewsgi\r\n" or empty

  Ref application;
  Ref environ;
  // nullptr where there is no hook, never None.
  Ref access_log;
  Ref on_error;
  Ref trusted_peer;
  Ref forwarded;
  Ref upgrade;
  Ref on_max_requests;
};

}  // namespace coewsgi
