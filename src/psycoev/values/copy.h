// What copy_from() and copy_to() make of their arguments.
#pragma once

#include "connection.h"

namespace psycoev::values {

// 1: file takes and gives str (io.TextIOBase); 0: bytes; -1 with an exception set.
[[nodiscard]] int is_text_file(PyObject* file);

// The statement of copy_from() (from_stdin) and copy_to(), bytes. table is str and quoted as one
// identifier; columns None or an iterable of str; null_mark may be null for the default.
[[nodiscard]] PyObject* copy_statement(ConnectionObject* connection, bool from_stdin,
                                       PyObject* table, PyObject* columns, PyObject* separator,
                                       PyObject* null_mark);

}  // namespace psycoev::values
