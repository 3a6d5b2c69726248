// Waiting in coev's scheduler, and the clock that deadlines are read from.
#pragma once

#include "python.h"

#include <coev/coev.h>

#include <cstdint>

namespace evmemcached {

extern const coev_api* coev;  // set by the module's init function

// Monotonic.
std::int64_t now_ns() noexcept;

// A point of the monotonic clock.
class Deadline {
 public:
  static Deadline never() noexcept { return Deadline(INT64_MAX); }
  // A negative timeout, and one of centuries, never passes.
  static Deadline after(double seconds, std::int64_t now) noexcept {
    constexpr double kForever = 9e9;
    if (!(seconds >= 0 && seconds < kForever)) return never();
    return Deadline(now + static_cast<std::int64_t>(seconds * 1e9));
  }

  [[nodiscard]] bool passed(std::int64_t now) const noexcept { return now >= at_; }
  [[nodiscard]] Deadline sooner(Deadline other) const noexcept {
    return at_ < other.at_ ? *this : other;
  }
  // Seconds from now, as coev takes them: negative without limit.
  [[nodiscard]] double remaining() const noexcept;

 private:
  explicit Deadline(std::int64_t at) noexcept : at_(at) {}
  std::int64_t at_;
};

enum class Waited : std::uint8_t { kReady, kTimedOut, kException };

// Waits until `fd` has one of `events`. SWITCHES: always. ERRORS: kException.
[[nodiscard]] Waited wait_fd(int fd, int events, Deadline deadline) noexcept;

}  // namespace evmemcached
