#include "values/binary_casts.h"

#include <bit>
#include <charconv>
#include <climits>
#include <cstdint>
#include <cstring>

#include "values/casts.h"
#include "values/datetime_values.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

// An integer in network byte order; the caller has looked at the size.
template <typename Integer>
Integer big_endian(const char* data) {
  using Unsigned = std::make_unsigned_t<Integer>;
  Unsigned value = 0;
  for (size_t i = 0; i < sizeof value; ++i) {
    value = static_cast<Unsigned>((value << 8) | static_cast<unsigned char>(data[i]));
  }
  return static_cast<Integer>(value);
}

PyObject* wrong_size(CursorObject* cursor) {
  return raise(exceptions.data_error, cursor, "a value in binary format has a wrong size");
}

template <typename Integer>
PyObject* cast_binary_integer(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != sizeof(Integer)) return wrong_size(cursor);
  return PyLong_FromLongLong(big_endian<Integer>(data));
}

PyObject* cast_binary_float8(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != 8) return wrong_size(cursor);
  return PyFloat_FromDouble(std::bit_cast<double>(big_endian<int64_t>(data)));
}

// The server's text of a float4 is its shortest one: 1.1, not 1.10000002384.
PyObject* cast_binary_float4(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != 4) return wrong_size(cursor);
  const auto narrow = std::bit_cast<float>(big_endian<int32_t>(data));
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, narrow).ptr;
  double value = narrow;
  std::from_chars(text, end, value);
  return PyFloat_FromDouble(value);
}

PyObject* cast_binary_bool(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != 1) return wrong_size(cursor);
  return PyBool_FromLong(*data);
}

PyObject* cast_binary_bytea(const char* data, Py_ssize_t size, CursorObject*) {
  return bytea_view(data, size);
}

// jsonb begins with its version, 1.
PyObject* cast_binary_jsonb(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size < 1 || *data != 1) return wrong_size(cursor);
  return cast_text(data + 1, size - 1, cursor);
}

PyObject* cast_binary_uuid(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != 16) return wrong_size(cursor);
  char text[36];
  char* to = text;
  for (int i = 0; i < 16; ++i) {
    static const char digits[] = "0123456789abcdef";
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = digits[(data[i] >> 4) & 15];
    *to++ = digits[data[i] & 15];
  }
  return PyUnicode_FromStringAndSize(text, sizeof text);
}

constexpr int64_t kDayMicroseconds = 86400000000LL;

// Days since 2000-01-01 in the Gregorian calendar, prolonged to the past.
Date date_of(int64_t days) {
  const int64_t shifted = days + 10957 + 719468;  // since 0000-03-01: leap days come last
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  const int64_t day_of_era = shifted - era * 146097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t march_month = (5 * day_of_year + 2) / 153;
  const int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  if (year <= 0) --year;  // as in the text: the year before 1 is "1 BC"
  return {static_cast<int>(year), static_cast<int>(month),
          static_cast<int>(day_of_year - (153 * march_month + 2) / 5 + 1)};
}

PyObject* cast_binary_date(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != 4) return wrong_size(cursor);
  const auto days = big_endian<int32_t>(data);
  if (days == INT_MAX) return make_date({9999, 12, 31});
  return make_date(days == INT_MIN ? Date{1, 1, 1} : date_of(days));
}

PyObject* timestamp_of(int64_t microseconds, PyObject* zone) {
  if (microseconds == INT64_MAX || microseconds == INT64_MIN) {
    return infinite_timestamp(microseconds < 0, zone);
  }
  int64_t days = microseconds / kDayMicroseconds;
  int64_t rest = microseconds % kDayMicroseconds;
  if (rest < 0) {
    rest += kDayMicroseconds;
    --days;
  }
  Clock clock;
  clock.microsecond = static_cast<int>(rest % 1000000);
  const int seconds = static_cast<int>(rest / 1000000);
  clock.hour = seconds / 3600;
  clock.minute = seconds / 60 % 60;
  clock.second = seconds % 60;
  return make_timestamp(date_of(days), clock, zone);
}

PyObject* cast_binary_timestamp(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != 8) return wrong_size(cursor);
  return timestamp_of(big_endian<int64_t>(data), Py_None);
}

PyObject* cast_binary_timestamptz(const char* data, Py_ssize_t size, CursorObject* cursor) {
  if (size != 8) return wrong_size(cursor);
  const Ref zone(zone_of(0, cursor));
  return zone ? timestamp_of(big_endian<int64_t>(data), zone.get()) : nullptr;
}

}  // namespace

BinaryCast binary_cast_of(Oid oid) {
  switch (oid) {
    case 16:
      return {cast_binary_bool, true};
    case 17:
      return {cast_binary_bytea, false};
    case 20:
      return {cast_binary_integer<int64_t>, true};
    case 21:
      return {cast_binary_integer<int16_t>, true};
    case 23:
      return {cast_binary_integer<int32_t>, true};
    case 26:
      return {cast_binary_integer<uint32_t>, true};
    case 700:
      return {cast_binary_float4, true};
    case 701:
      return {cast_binary_float8, true};
    case 1082:
      return {cast_binary_date, true};
    case 1114:
      return {cast_binary_timestamp, true};
    case 1184:
      return {cast_binary_timestamptz, false};
    case 2950:
      return {cast_binary_uuid, true};
    case 3802:
      return {cast_binary_jsonb, true};
    // char, name, text, json, xml, unknown, bpchar, varchar: their binary format is their text.
    case 18:
    case 19:
    case 25:
    case 114:
    case 142:
    case 705:
    case 1042:
    case 1043:
      return {cast_text, true};
    default:
      return {cast_bytes, true};
  }
}

}  // namespace psycoev::values
