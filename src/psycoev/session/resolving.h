// The addresses of a host name, found on a real thread: getaddrinfo() blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session/session.h"

namespace psycoev::session {

// Numeric addresses of `host`, in the resolver's order. kFailed: *error says why.
// SWITCHES: always.
[[nodiscard]] Outcome resolve(const std::string& host, const std::string& port,
                              std::int64_t deadline, std::vector<std::string>* addresses,
                              std::string* error);

}  // namespace psycoev::session
