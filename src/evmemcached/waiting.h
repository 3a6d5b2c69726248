// Waiting in coev's scheduler, and the clock that deadlines are read from.
#pragma once

#include <coev/coev.h>

#include <cstdint>

#include "python.h"

namespace evmemcached {

extern const coev_api* coev;  // set by the module's init function

// Of coev's clock, which is monotonic.
inline std::int64_t now_ns() noexcept { return coev->deadline_after(0); }

// A point of that clock.
class Deadline {
 public:
  // A negative timeout never passes.
  static Deadline after(double seconds, std::int64_t now) noexcept {
    constexpr double kForever = 9e9;
    if (!(seconds >= 0 && seconds < kForever)) return Deadline(COEV_NEVER);
    return Deadline(now + static_cast<std::int64_t>(seconds * 1e9));
  }

  [[nodiscard]] bool passed(std::int64_t now) const noexcept { return now >= at_; }
  [[nodiscard]] Deadline sooner(Deadline other) const noexcept {
    return at_ < other.at_ ? *this : other;
  }
  [[nodiscard]] std::int64_t ns() const noexcept { return at_; }
  // Seconds from now; negative: without limit.
  [[nodiscard]] double remaining() const noexcept {
    if (at_ == COEV_NEVER) return -1;
    const std::int64_t left = at_ - now_ns();
    return left <= 0 ? 0 : static_cast<double>(left) / 1e9;
  }

 private:
  explicit Deadline(std::int64_t at) noexcept : at_(at) {}
  std::int64_t at_;
};

enum class Waited : std::uint8_t { kReady, kTimedOut, kException };

// Waits until `fd`, which `owner` owns, has one of `events`. `owner` may be nullptr.
// SWITCHES: always. ERRORS: kException.
[[nodiscard]] inline Waited wait_fd(int fd, int events, Deadline deadline,
                                    const void* owner) noexcept {
  const int ready = coev->wait_fd_until(fd, events, deadline.ns(), owner);
  if (ready < 0) return Waited::kException;
  return ready == 0 ? Waited::kTimedOut : Waited::kReady;
}

}  // namespace evmemcached
