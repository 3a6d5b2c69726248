// date, time, timestamp and their kinds with a time zone, as DateStyle ISO writes them.

#include <climits>
#include <cstring>
#include <string_view>

#include "values/casts.h"
#include "values/datetime_api.h"
#include "values/datetime_values.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

PyObject* timezone_type;  // datetime.timezone

// Reads digits; at most INT_MAX, which no field may reach. False if there is none.
bool read_number(const char*& at, const char* end, int& number) {
  if (at == end || *at < '0' || *at > '9') return false;
  long long value = 0;
  for (; at < end && *at >= '0' && *at <= '9'; ++at) {
    value = value * 10 + (*at - '0');
    if (value > INT_MAX) value = INT_MAX;
  }
  number = static_cast<int>(value);
  return true;
}

bool skip(const char*& at, const char* end, char expected) {
  if (at == end || *at != expected) return false;
  ++at;
  return true;
}

// "2000-01-31", followed by anything; "BC" at the very end makes the year negative.
bool parse_date(const char*& at, const char* end, Date& date) {
  const bool before_christ = end - at >= 2 && end[-2] == 'B' && end[-1] == 'C';
  if (!read_number(at, end, date.year) || !skip(at, end, '-') ||
      !read_number(at, end, date.month) || !skip(at, end, '-') || !read_number(at, end, date.day)) {
    return false;
  }
  if (before_christ) date.year = -date.year;
  return at == end || *at == ' ' || *at == 'T';
}

void parse_fraction(const char*& at, const char* end, Clock& clock) {
  const char* start = at;
  if (!read_number(at, end, clock.microsecond)) return;
  for (auto digits = at - start; digits < 6; ++digits) clock.microsecond *= 10;
}

// "+01", "-03:30" or "+00:19:32".
bool parse_zone(const char*& at, const char* end, Clock& clock) {
  const int sign = *at++ == '-' ? -1 : 1;
  int hours = 0;
  int minutes = 0;
  int seconds = 0;
  if (!read_number(at, end, hours)) return false;
  if (skip(at, end, ':') && !read_number(at, end, minutes)) return false;
  if (skip(at, end, ':') && !read_number(at, end, seconds)) return false;
  clock.has_zone = true;
  // More than a day is wrong anyway, and must not overflow.
  if (hours > 9999) hours = 9999;
  if (minutes > 9999) minutes = 9999;
  if (seconds > 9999) seconds = 9999;
  clock.offset_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
  return true;
}

bool parse_clock(const char*& at, const char* end, Clock& clock) {
  if (!read_number(at, end, clock.hour) || !skip(at, end, ':') ||
      !read_number(at, end, clock.minute) || !skip(at, end, ':') ||
      !read_number(at, end, clock.second)) {
    return false;
  }
  if (skip(at, end, '.')) parse_fraction(at, end, clock);
  if (at < end && (*at == '+' || *at == '-') && !parse_zone(at, end, clock)) return false;
  if (at < end && std::string_view(at, static_cast<size_t>(end - at)) != " BC") return false;
  // The server rounds 59.9999999 to 60, and has a time 24:00:00; datetime has neither.
  if (clock.second > 59) {
    ++clock.minute;
    clock.second -= 60;
  }
  if (clock.hour == 24) clock.hour = 0;
  return true;
}

bool is_infinity(std::string_view text) { return text == "infinity" || text == "-infinity"; }

PyObject* fail(CursorObject* cursor, const char* message) {
  return raise(exceptions.data_error, cursor, message);
}

// Two digits; above 99 where one of them is none.
unsigned pair(const char* at) {
  const auto tens = static_cast<unsigned>(at[0] - '0');
  const auto units = static_cast<unsigned>(at[1] - '0');
  return tens > 9 || units > 9 ? 1000 : tens * 10 + units;
}

// "2000-01-31 23:59:59", the shape of nearly every timestamp, with an optional fraction.
bool parse_usual_timestamp(const char* at, Py_ssize_t size, Date& date, Clock& clock) {
  if (size < 19 || at[4] != '-' || at[7] != '-' || at[10] != ' ' || at[13] != ':' ||
      at[16] != ':') {
    return false;
  }
  const unsigned century = pair(at);
  const unsigned year = pair(at + 2);
  const unsigned month = pair(at + 5);
  const unsigned day = pair(at + 8);
  const unsigned hour = pair(at + 11);
  const unsigned minute = pair(at + 14);
  const unsigned second = pair(at + 17);
  if (century + year + month + day + hour + minute + second >= 1000 || hour > 23 || second > 59) {
    return false;
  }
  if (size > 19) {
    if (at[19] != '.' || size > 26) return false;
    const char* fraction = at + 20;
    parse_fraction(fraction, at + size, clock);
    if (fraction != at + size) return false;
  }
  date = {static_cast<int>(century * 100 + year), static_cast<int>(month), static_cast<int>(day)};
  clock.hour = static_cast<int>(hour);
  clock.minute = static_cast<int>(minute);
  clock.second = static_cast<int>(second);
  return true;
}

}  // namespace

bool prepare_dates() {
  if (!import_datetime()) return false;
  timezone_type = reinterpret_cast<PyObject*>(Py_TYPE(PyDateTime_TimeZone_UTC));
  return true;
}

PyObject* make_date(const Date& date) { return PyDate_FromDate(date.year, date.month, date.day); }

PyObject* zone_of(int offset_seconds, CursorObject* cursor) {
  const Ref factory = Ref::borrowed(cursor == nullptr ? timezone_type : cursor->tzinfo_factory);
  if (!factory || factory.get() == Py_None) Py_RETURN_NONE;
  if (factory.get() != timezone_type) {
    const Ref offset(PyDelta_FromDSU(0, offset_seconds, 0));
    return offset ? PyObject_CallOneArg(factory.get(), offset.get()) : nullptr;
  }
  // Nearly all values of a result have one offset, and a timezone never changes.
  static int last_offset = 0;
  static PyObject* last_zone = nullptr;
  if (last_zone != nullptr && last_offset == offset_seconds) return Py_NewRef(last_zone);
  const Ref offset(PyDelta_FromDSU(0, offset_seconds, 0));
  if (!offset) return nullptr;
  Ref zone(PyTimeZone_FromOffset(offset.get()));
  if (!zone) return nullptr;
  Py_XSETREF(last_zone, Py_NewRef(zone.get()));
  last_offset = offset_seconds;
  return zone.release();
}

PyObject* make_timestamp(const Date& date, const Clock& clock, PyObject* zone) {
  return PyDateTimeAPI->DateTime_FromDateAndTime(date.year, date.month, date.day, clock.hour,
                                                 clock.minute, clock.second, clock.microsecond,
                                                 zone, PyDateTimeAPI->DateTimeType);
}

PyObject* infinite_timestamp(bool negative, PyObject* zone) {
  return negative ? make_timestamp({1, 1, 1}, {}, zone)
                  : make_timestamp({9999, 12, 31}, {23, 59, 59, 999999}, zone);
}

PyObject* cast_date(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (is_infinity({data, static_cast<size_t>(size)})) {
    return *data == '-' ? PyDate_FromDate(1, 1, 1) : PyDate_FromDate(9999, 12, 31);
  }
  Date date;
  const char* at = data;
  if (!parse_date(at, data + size, date)) return fail(cursor, "unable to parse date");
  return make_date(date);
}

PyObject* cast_time(const char* data, Py_ssize_t size, CursorObject* cursor) {
  Clock clock;
  const char* at = data;
  if (!parse_clock(at, data + size, clock)) return fail(cursor, "unable to parse time");
  const Ref zone(clock.has_zone ? zone_of(clock.offset_seconds, cursor) : Py_NewRef(Py_None));
  if (!zone) return nullptr;
  return PyDateTimeAPI->Time_FromTime(clock.hour, clock.minute, clock.second, clock.microsecond,
                                      zone.get(), PyDateTimeAPI->TimeType);
}

namespace {

PyObject* cast_finite_timestamp(const char* data, Py_ssize_t size, CursorObject* cursor) {
  Date date;
  Clock clock;
  if (parse_usual_timestamp(data, size, date, clock)) {
    return make_timestamp(date, clock, Py_None);
  }
  clock = {};
  const char* at = data;
  const char* end = data + size;
  if (!parse_date(at, end, date)) return fail(cursor, "unable to parse date");
  if (at < end && (*at == ' ' || *at == 'T')) {
    ++at;
    const bool has_clock = std::string_view(at, static_cast<size_t>(end - at)) != "BC";
    if (has_clock && !parse_clock(at, end, clock)) return fail(cursor, "unable to parse time");
  }
  const Ref zone(clock.has_zone ? zone_of(clock.offset_seconds, cursor) : Py_NewRef(Py_None));
  return zone ? make_timestamp(date, clock, zone.get()) : nullptr;
}

}  // namespace

PyObject* cast_timestamp(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (is_infinity({data, static_cast<size_t>(size)})) {
    return infinite_timestamp(*data == '-', Py_None);
  }
  return cast_finite_timestamp(data, size, cursor);
}

PyObject* cast_timestamptz(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (is_infinity({data, static_cast<size_t>(size)})) {
    const Ref zone(zone_of(0, cursor));
    return zone ? infinite_timestamp(*data == '-', zone.get()) : nullptr;
  }
  return cast_finite_timestamp(data, size, cursor);
}

}  // namespace psycoev::values
