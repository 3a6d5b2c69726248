// Deadlines: absolute, nanoseconds of coev's clock (coev->deadline_after()).
#pragma once

#include <cstdint>

#include "session/api.h"

namespace psycoev::session {

// The seconds that are left, for functions that take a timeout; below 0 for COEV_NEVER.
[[nodiscard]] inline double seconds_until(std::int64_t deadline) noexcept {
  if (deadline == COEV_NEVER) return -1.0;
  const std::int64_t left = deadline - coev->deadline_after(0);
  return left > 0 ? static_cast<double>(left) * 1e-9 : 0.0;
}

// The earlier one of a deadline and of a timeout that begins now (below 0: none).
[[nodiscard]] inline std::int64_t deadline_within(std::int64_t deadline, double timeout) noexcept {
  if (timeout < 0) return deadline;
  const std::int64_t other = coev->deadline_after(timeout);
  return other < deadline ? other : deadline;
}

}  // namespace psycoev::session
