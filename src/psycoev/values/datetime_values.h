// The parts of a date and a time of day, and the objects of datetime that they make.
#pragma once

#include "cursor.h"

namespace psycoev::values {

struct Date {
  int year = 0, month = 0, day = 0;
};
struct Clock {
  int hour = 0, minute = 0, second = 0, microsecond = 0;
  bool has_zone = false;
  int offset_seconds = 0;
};

// ValueError where datetime has no such day or time. `zone` is a tzinfo or None.
[[nodiscard]] PyObject* make_date(const Date& date);
[[nodiscard]] PyObject* make_timestamp(const Date& date, const Clock& clock, PyObject* zone);
// datetime.min (negative) or datetime.max, which stand for the infinities.
[[nodiscard]] PyObject* infinite_timestamp(bool negative, PyObject* zone);

// tzinfo of an offset by the cursor's tzinfo_factory; None where that is None.
// SWITCHES: only if the factory is Python code that does.
[[nodiscard]] PyObject* zone_of(int offset_seconds, CursorObject* cursor);

}  // namespace psycoev::values
