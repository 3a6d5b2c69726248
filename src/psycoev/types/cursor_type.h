// psycoev.extensions.cursor, and what its files share.
#pragma once

#include <cstdint>

#include "cursor.h"

namespace psycoev::types {

[[nodiscard]] bool add_cursor(PyObject* module);

// Seconds of a timeout: None is -1, for "without limit". False with ValueError or TypeError set.
[[nodiscard]] bool timeout_from(PyObject* value, double* seconds);

[[nodiscard]] bool cursor_set_withhold(CursorObject* self, PyObject* value);
[[nodiscard]] bool cursor_set_scrollable(CursorObject* self, PyObject* value);

// The bytes of a statement given as str, bytes or sql.Composable, with its parameters merged in
// unless they are null or None. Null with an exception set.
// SWITCHES: only if as_string() of the program does.
[[nodiscard]] PyObject* statement_bytes(CursorObject* self, PyObject* statement,
                                        PyObject* parameters = nullptr);

// Executes what cursor->query holds: takes the turn, begins a transaction where one is due and
// `begins`, receives the result.
[[nodiscard]] bool execute_query(CursorObject* self, std::int64_t deadline, bool begins = true);

// Methods by their files, ended by a null name each.
extern PyMethodDef kExecuteMethods[];
extern PyMethodDef kFetchMethods[];
extern PyMethodDef kCopyMethods[];
extern PyMethodDef kStreamMethods[];

// The iterator that cursor.stream() gives.
[[nodiscard]] bool add_stream(PyObject* module);

PyObject* cursor_iternext(PyObject* self);
PyObject* cursor_close(PyObject* self, PyObject*);

}  // namespace psycoev::types
