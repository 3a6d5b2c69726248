// The built-in casts, from the text format of PostgreSQL's types ("Data Types" in its manual).
#pragma once

#include "cursor.h"

namespace psycoev::values {

[[nodiscard]] PyObject* cast_integer(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_float(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_decimal(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_boolean(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_text(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_bytes(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_bytea(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_date(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_time(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_timestamp(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_timestamptz(const char* data, Py_ssize_t size, CursorObject* cursor);
[[nodiscard]] PyObject* cast_interval(const char* data, Py_ssize_t size, CursorObject* cursor);

// A list (of lists) of what the typecaster `base` makes of the elements.
[[nodiscard]] PyObject* cast_array(const char* data, Py_ssize_t size, CursorObject* cursor,
                                   PyObject* base, char delimiter);

// A memoryview of a copy of `size` bytes.
[[nodiscard]] PyObject* bytea_view(const char* data, Py_ssize_t size);

// Imports what the casts need: decimal.Decimal, the C API of datetime, the buffer of bytea.
[[nodiscard]] bool prepare_numbers();
[[nodiscard]] bool prepare_dates();
[[nodiscard]] bool prepare_bytea();

}  // namespace psycoev::values
