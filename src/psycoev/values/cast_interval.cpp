// interval as timedelta, in the styles postgres, postgres_verbose and sql_standard ("Interval
// Output"). A year counts 365 days and a month 30.

#include <climits>
#include <cstring>
#include <string>
#include <string_view>

#include "values/casts.h"
#include "values/datetime_api.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

class IntervalParser {
 public:
  IntervalParser(const char* data, Py_ssize_t size, CursorObject* cursor)
      : data_(data), at_(data), end_(data + size), cursor_(cursor) {}

  PyObject* parse() {
    if (at_ < end_ && *at_ == 'P') {
      return raise(exceptions.not_supported_error, cursor_,
                   "iso_8601 intervalstyle currently not supported");
    }
    if (at_ < end_ && *at_ == '@') ++at_;
    while (skip_spaces()) {
      if (!(is_alphabetic(*at_) ? word() : quantity())) return unreadable();
      if (too_big_) {
        PyErr_SetString(PyExc_OverflowError, "interval component too big");
        return nullptr;
      }
    }
    if (!has_unit_) return microseconds_alone();
    return result();
  }

 private:
  static bool is_alphabetic(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  bool skip_spaces() {
    while (at_ < end_ && *at_ == ' ') ++at_;
    return at_ < end_;
  }

  long long number() {
    long long value = 0;
    for (; at_ < end_ && is_digit(*at_); ++at_) {
      value = value * 10 + (*at_ - '0');
      if (value > INT_MAX) {
        too_big_ = true;
        value = INT_MAX;
      }
    }
    return value;
  }

  // The digits behind a point as microseconds, rounded.
  long long fraction() {
    constexpr std::ptrdiff_t kMostDigits = 18;  // the divisor's, which must not overflow
    const char* start = at_;
    long long value = number();
    auto digits = at_ - start;
    if (too_big_) return value;
    if (digits > kMostDigits) return 0;  // only zeros stand before what number() could hold
    for (; digits < 6; ++digits) value *= 10;
    long long divisor = 1;
    for (; digits > 6; --digits) divisor *= 10;
    return (value + divisor / 2) / divisor;
  }

  // "ago" turns all around; other words stand behind a number and are read there.
  bool word() {
    const std::string_view rest(at_, static_cast<size_t>(end_ - at_));
    if (rest != "ago") return false;
    at_ = end_;
    days_ = -days_;
    microseconds_ = -microseconds_;
    return true;
  }

  // A number and what follows: a unit, ":" of a clock, "-" of years and months, or nothing.
  bool quantity() {
    const bool has_sign = *at_ == '-' || *at_ == '+';
    const int sign = *at_ == '-' ? -1 : 1;
    if (has_sign) ++at_;
    if (at_ == end_ || !(is_digit(*at_) || *at_ == '.')) return false;
    const long long value = number();
    if (at_ < end_ && *at_ == ':') {
      // sql_standard writes one sign for a day and its clock.
      return clock(value, has_sign || !bare_days_ ? sign : bare_sign_);
    }
    if (at_ < end_ && *at_ == '-') return years_and_months(value, sign);
    long long micros = 0;
    const bool has_fraction = at_ < end_ && *at_ == '.';
    if (has_fraction) {
      ++at_;
      micros = fraction();
    }
    skip_spaces();
    if (at_ < end_ && is_alphabetic(*at_))
      return with_unit(sign * value, sign * micros, has_fraction);
    return !has_fraction && bare(value, sign);
  }

  bool clock(long long hours, int sign) {
    long long parts[2] = {};  // minutes, seconds
    int count = 0;
    for (; at_ < end_ && *at_ == ':'; ++count) {
      ++at_;
      if (at_ == end_ || !is_digit(*at_)) return false;
      const long long part = number();
      if (count == 2) return too_big_;  // a fourth part has no meaning, but may have a size
      parts[count] = part;
    }
    long long micros = 0;
    if (count == 2 && at_ < end_ && *at_ == '.') {
      ++at_;
      micros = fraction();
    }
    add_microseconds(sign * (hours * 3600 + parts[0] * 60 + parts[1]), sign * micros);
    return at_ == end_ || *at_ == ' ';
  }

  bool years_and_months(long long years, int sign) {
    ++at_;
    if (at_ == end_ || !is_digit(*at_)) return false;
    const long long months = number();
    days_ += sign * (years * 365 + months * 30);
    has_unit_ = true;
    return true;
  }

  // The days of sql_standard, if a clock or more follows; else Redshift's microseconds.
  bool bare(long long value, int sign) {
    if (bare_days_ || has_words_) return false;
    bare_days_ = true;
    bare_sign_ = sign;
    if (at_ < end_ || has_unit_) {
      days_ += sign * value;
      has_unit_ = true;
    } else {
      too_big_ = false;  // microseconds_alone() reads it without a limit
    }
    return true;
  }

  bool with_unit(long long value, long long micros, bool has_fraction) {
    const char* start = at_;
    while (at_ < end_ && is_alphabetic(*at_)) ++at_;
    std::string_view unit(start, static_cast<size_t>(at_ - start));
    if (unit.ends_with('s')) unit.remove_suffix(1);
    if (unit == "year") {
      days_ += value * 365;
    } else if (unit == "mon") {
      days_ += value * 30;
    } else if (unit == "day") {
      days_ += value;
    } else if (unit == "hour") {
      add_microseconds(value * 3600, 0);
    } else if (unit == "min") {
      add_microseconds(value * 60, 0);
    } else if (unit == "sec") {
      add_microseconds(value, micros);
    } else {
      return false;
    }
    if (bare_days_ || (has_fraction && unit != "sec")) return false;
    has_words_ = true;
    has_unit_ = true;
    return at_ == end_ || *at_ == ' ';
  }

  void add_microseconds(long long seconds, long long micros) {
    has_unit_ = true;
    microseconds_ += seconds * 1000000 + micros;
  }

  PyObject* microseconds_alone() {
    const std::string text(data_, static_cast<size_t>(end_ - data_));
    const Ref value(PyLong_FromString(text.c_str(), nullptr, 0));
    if (!value) return nullptr;
    return PyObject_CallFunction(reinterpret_cast<PyObject*>(PyDateTimeAPI->DeltaType), "iiO", 0, 0,
                                 value.get());
  }

  PyObject* unreadable() {
    // A text without any quantity gets the words of int(), which reads Redshift's intervals.
    if (!has_unit_) {
      const Ref value(microseconds_alone());
      if (!value) return nullptr;
    }
    return raise(exceptions.data_error, cursor_, "unable to parse interval");
  }

  PyObject* result() {
    const long long day_microseconds = 86400000000LL;
    const long long days = microseconds_ / day_microseconds;
    const long long rest = microseconds_ % day_microseconds;
    const long long all_days = days_ + days;
    if (all_days > INT_MIN && all_days < INT_MAX) {
      return PyDelta_FromDSU(static_cast<int>(all_days), static_cast<int>(rest / 1000000),
                             static_cast<int>(rest % 1000000));
    }
    return PyObject_CallFunction(reinterpret_cast<PyObject*>(PyDateTimeAPI->DeltaType), "LLL",
                                 all_days, rest / 1000000, rest % 1000000);
  }

  const char* data_;
  const char* at_;
  const char* end_;
  CursorObject* cursor_;
  long long days_ = 0;
  long long microseconds_ = 0;
  bool has_unit_ = false;
  bool has_words_ = false;  // units as words, which sql_standard has not
  bool bare_days_ = false;
  int bare_sign_ = 1;
  bool too_big_ = false;
};

}  // namespace

PyObject* cast_interval(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (!import_datetime()) return nullptr;
  return IntervalParser(data, size, cursor).parse();
}

}  // namespace psycoev::values
