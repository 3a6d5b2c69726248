// Connection strings, and where the servers are that they name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session/session.h"

namespace psycoev::session {

// One place to connect to: what libpq's keywords host, hostaddr and port get.
struct Target {
  std::string host;
  std::string address;
  std::string port;
};

// What a connection string means once the environment, the service file and the defaults are in.
struct Destination {
  std::vector<Target> hosts;  // as named; address only where hostaddr was given
  double connect_timeout = -1;
  bool prefers_standby = false;  // two passes over the hosts
};

// False with libpq's message in *error, empty with an exception set.
// SWITCHES: always; files are read on a real thread.
[[nodiscard]] bool find_destination(const std::string& dsn, Destination* destination,
                                    std::string* error);

// Whether the name of a host must be asked of the resolver.
[[nodiscard]] bool needs_resolving(const Target& target);

}  // namespace psycoev::session
