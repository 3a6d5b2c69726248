// From the server's values to Python objects: typecasters and their registries.
#pragma once

#include "cursor.h"

namespace psycoev::values {

// The value of one field by a typecaster object (ours or the program's). data null: SQL NULL.
// SWITCHES: only if the typecaster is Python code.
[[nodiscard]] PyObject* cast_value(PyObject* typecaster, const char* data, Py_ssize_t size,
                                   CursorObject* cursor);

// A call of a typecaster by a program: value is None, str or a bytes-like object, scope a cursor or
// anything else, which a Python function gets as it is.
[[nodiscard]] PyObject* cast_object(PyObject* typecaster, PyObject* value, PyObject* scope);

// cursor.cast(oid, value): value is None, bytes or str.
[[nodiscard]] PyObject* cast_by_oid(CursorObject* cursor, Oid oid, PyObject* value);

}  // namespace psycoev::values
