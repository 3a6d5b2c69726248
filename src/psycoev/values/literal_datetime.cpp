// Literals of datetime's objects: ISO 8601 and the type's name.

#include "values/datetime_api.h"
#include "values/literals.h"

namespace psycoev::values {
namespace {

char* two_digits(char* to, int number) {
  *to++ = static_cast<char>('0' + number / 10);
  *to++ = static_cast<char>('0' + number % 10);
  return to;
}

char* write_day(char* to, PyObject* date) {
  const int year = PyDateTime_GET_YEAR(date);
  to = two_digits(to, year / 100);
  to = two_digits(to, year % 100);
  *to++ = '-';
  to = two_digits(to, PyDateTime_GET_MONTH(date));
  *to++ = '-';
  return two_digits(to, PyDateTime_GET_DAY(date));
}

char* write_clock(char* to, int hour, int minute, int second, int microsecond) {
  to = two_digits(to, hour);
  *to++ = ':';
  to = two_digits(to, minute);
  *to++ = ':';
  to = two_digits(to, second);
  if (microsecond == 0) return to;
  *to++ = '.';
  to = two_digits(to, microsecond / 10000);
  to = two_digits(to, microsecond / 100 % 100);
  return two_digits(to, microsecond % 100);
}

constexpr size_t kRoom = 32;  // "9999-12-31T23:59:59.999999"

void append_text(const char* start, const char* end, const char* type, Buffer& out) {
  out.push_back('\'');
  out.append(start, static_cast<size_t>(end - start));
  out.append(type);
}

// Whatever is not exactly of datetime's classes, or has a zone, says by itself what it is.
bool append_isoformat(PyObject* value, const char* type, Buffer& out) {
  const Ref text(PyObject_CallMethod(value, "isoformat", nullptr));
  if (!text) return false;
  Py_ssize_t size;
  const char* iso = PyUnicode_AsUTF8AndSize(text.get(), &size);
  if (iso == nullptr) return false;
  append_text(iso, iso + size, type, out);
  return true;
}

// Whether value.tzinfo is an object; -1 with an exception set.
int has_zone(PyObject* value) {
  const Ref zone(PyObject_GetAttrString(value, "tzinfo"));
  if (!zone) return -1;
  return zone.get() != Py_None;
}

}  // namespace

bool prepare_datetime_literals() { return import_datetime(); }

bool write_date(PyObject* value, const LiteralScope&, Buffer& out) {
  if (!PyDate_CheckExact(value)) return append_isoformat(value, "'::date", out);
  char text[kRoom];
  append_text(text, write_day(text, value), "'::date", out);
  return true;
}

bool write_time(PyObject* value, const LiteralScope&, Buffer& out) {
  if (PyTime_CheckExact(value) && PyDateTime_TIME_GET_TZINFO(value) == Py_None) {
    char text[kRoom];
    append_text(
        text,
        write_clock(text, PyDateTime_TIME_GET_HOUR(value), PyDateTime_TIME_GET_MINUTE(value),
                    PyDateTime_TIME_GET_SECOND(value), PyDateTime_TIME_GET_MICROSECOND(value)),
        "'::time", out);
    return true;
  }
  const int zoned = has_zone(value);
  return zoned >= 0 && append_isoformat(value, zoned ? "'::timetz" : "'::time", out);
}

bool write_timestamp(PyObject* value, const LiteralScope&, Buffer& out) {
  if (PyDateTime_CheckExact(value) && PyDateTime_DATE_GET_TZINFO(value) == Py_None) {
    char text[kRoom];
    char* to = write_day(text, value);
    *to++ = 'T';
    to = write_clock(to, PyDateTime_DATE_GET_HOUR(value), PyDateTime_DATE_GET_MINUTE(value),
                     PyDateTime_DATE_GET_SECOND(value), PyDateTime_DATE_GET_MICROSECOND(value));
    append_text(text, to, "'::timestamp", out);
    return true;
  }
  const int zoned = has_zone(value);
  return zoned >= 0 && append_isoformat(value, zoned ? "'::timestamptz" : "'::timestamp", out);
}

bool write_interval(PyObject* value, const LiteralScope&, Buffer& out) {
  if (!PyDelta_Check(value)) {
    PyErr_Format(PyExc_TypeError, "expected datetime.timedelta, got %s", Py_TYPE(value)->tp_name);
    return false;
  }
  char text[64];
  const int size = PyOS_snprintf(
      text, sizeof text, "'%d days %d.%06d seconds'::interval", PyDateTime_DELTA_GET_DAYS(value),
      PyDateTime_DELTA_GET_SECONDS(value), PyDateTime_DELTA_GET_MICROSECONDS(value));
  out.append(text, static_cast<size_t>(size));
  return true;
}

}  // namespace psycoev::values
