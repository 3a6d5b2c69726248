// Deadlines and dates: monotonic nanoseconds, and the Date field.
#pragma once

#include <cstdint>
#include <ctime>
#include <limits>
#include <string_view>

namespace coewsgi {

using Nanoseconds = std::int64_t;
inline constexpr Nanoseconds kSecond = 1'000'000'000;
inline constexpr Nanoseconds kNever = std::numeric_limits<Nanoseconds>::max();

inline Nanoseconds now_ns() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

// A span of 0 stands for "no limit".
inline Nanoseconds deadline_after(Nanoseconds now, Nanoseconds span) noexcept {
  return span == 0 ? kNever : now + span;
}

// "Date: Tue, 01 Dec 2026 07:00:00 GMT\r\n", made once a second.
std::string_view date_field() noexcept;

}  // namespace coewsgi
