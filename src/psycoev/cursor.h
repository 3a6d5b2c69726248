// The layout of psycoev.extensions.cursor.
#pragma once

#include "connection.h"

namespace psycoev {

namespace values {
class ResultSet;
}

struct CursorObject {
  PyObject ob_base;
  ConnectionObject* connection;  // owned; null before __init__
  bool closed;

  values::ResultSet* result;  // owned; null: nothing was executed, or the result had no rows
  long row;                   // the next row of `result` that a fetch gives
  long long rowcount;
  Oid lastoid;

  PyObject* description;     // tuple of Column; null: to be made when asked for; None: no rows
  PyObject* query;           // bytes or None
  PyObject* status_message;  // str or None
  PyObject* row_factory;     // None, or called with the cursor: an empty row to fill
  PyObject* tzinfo_factory;  // None or a callable: timedelta -> tzinfo
  PyObject* typecaster;      // unused member `cursor.typecaster`; None
  PyObject* string_types;    // dict: oid -> typecaster, of this cursor alone; null: none yet
  PyObject* binary_types;    // dict
  PyObject* copy_file;       // the file of the COPY under way; null: none
  long copy_size;            // bytes asked of read() at once
  PyObject* weak_references;

  char* name;         // of a named cursor, as the program gave it, in UTF-8; null: client side
  char* quoted_name;  // as an SQL identifier in the connection's encoding
  int scrollable;     // -1 None, 0, 1
  bool withhold;
  long arraysize;
  long itersize;
  unsigned long mark;   // the transaction that a named cursor was declared in
  bool named_executed;  // DECLARE was sent: a named cursor serves one execute()
  bool binary;     // results in binary format where the statement goes by the extended protocol
  double timeout;  // seconds for each statement; below 0: the connection's
};

extern PyTypeObject* cursor_type;

[[nodiscard]] inline CursorObject* as_cursor(PyObject* object) noexcept {
  return reinterpret_cast<CursorObject*>(object);
}

}  // namespace psycoev
