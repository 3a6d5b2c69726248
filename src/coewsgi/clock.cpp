#include "clock.h"

#include <array>
#include <cstdio>

namespace coewsgi {

std::string_view date_field() noexcept {
  constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static thread_local std::array<char, 64> text;
  static thread_local int size = 0;
  static thread_local std::time_t made_at = -1;
  timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != made_at) {
    made_at = now.tv_sec;
    std::tm parts{};
    gmtime_r(&made_at, &parts);
    size = std::snprintf(text.data(), text.size(), "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                         kDays[parts.tm_wday], parts.tm_mday, kMonths[parts.tm_mon],
                         parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  }
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace coewsgi
