// Time: the monotonic clock and absolute deadlines, in nanoseconds.
//
// Every wait inside coev ends at a Deadline. Relative timeouts exist only at
// the edges (Python, the C API) and are turned into deadlines once.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>

namespace coev {

// Nanoseconds of CLOCK_MONOTONIC, or of the virtual clock when tests switched
// it on. THREAD: any.
[[nodiscard]] std::int64_t now_ns() noexcept;

class Deadline {
 public:
  static constexpr Deadline never() noexcept { return Deadline(kNever); }
  static constexpr Deadline at(std::int64_t ns) noexcept { return Deadline(ns); }
  // A timeout too long for the clock means never.
  static Deadline after(std::int64_t timeout_ns) noexcept {
    const std::int64_t now = now_ns();
    return timeout_ns >= kNever - now ? never() : Deadline(now + timeout_ns);
  }
  // Rounded up to a nanosecond; a negative timeout has passed. REQUIRES: no NaN.
  static Deadline after_seconds(double seconds) noexcept {
    constexpr double kTooLong = 9.2e9;  // just under what nanoseconds in an int64 hold
    if (seconds >= kTooLong) return never();
    return seconds <= 0 ? after(0) : after(static_cast<std::int64_t>(std::ceil(seconds * 1e9)));
  }

  [[nodiscard]] constexpr bool is_never() const noexcept { return ns_ == kNever; }
  [[nodiscard]] constexpr std::int64_t ns() const noexcept { return ns_; }
  [[nodiscard]] bool passed() const noexcept { return !is_never() && now_ns() >= ns_; }
  [[nodiscard]] constexpr auto operator<=>(const Deadline&) const noexcept = default;

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  explicit constexpr Deadline(std::int64_t ns) noexcept : ns_(ns) {}
  std::int64_t ns_;
};

// Virtual time, for tests: while it is on the clock stands still, and a
// scheduler that would sleep moves it to its next deadline instead. The clock
// is one for the whole process; use it from one OS thread.
namespace virtual_time {
void enable(bool on) noexcept;
[[nodiscard]] bool enabled() noexcept;
void advance_to(std::int64_t ns) noexcept;  // never moves backwards
}  // namespace virtual_time

}  // namespace coev
