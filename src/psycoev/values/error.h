// The exceptions of DB-API (PEP 249) and how they are made of what libpq says.
#pragma once

#include "cursor.h"

namespace psycoev::values {

// The tree; filled by add_to_module(), never null afterwards. `error` is a type of ours with
// pgerror, pgcode, cursor and diag; it pickles.
struct Exceptions {
  PyObject* warning;
  PyObject* error;
  PyObject* interface_error;
  PyObject* database_error;
  PyObject* data_error;
  PyObject* operational_error;
  PyObject* integrity_error;
  PyObject* internal_error;
  PyObject* programming_error;
  PyObject* not_supported_error;
  PyObject* query_canceled;
  PyObject* transaction_rollback;
};
extern Exceptions exceptions;

// Makes the tree, `sqlstate_errors` and Diagnostics. False with an exception set.
[[nodiscard]] bool add_errors(PyObject* module);

// Raises what a failed result says: the class by SQLSTATE, str() is the message without its
// leading "ERROR:  ", pgerror with it; cursor (may be null) and diag are set. A result without an
// SQLSTATE gives OperationalError if the connection is broken, else DatabaseError.
// OWNS: result.
void raise_from_result(ConnectionObject* connection, CursorObject* cursor, PGresult* result);

// Raises OperationalError with the connection's last message, or `fallback` where it has none.
void raise_from_connection(ConnectionObject* connection, CursorObject* cursor,
                           const char* fallback);

// Makes the exception of ours that is set one of `type`, with its message and all that the server
// said. REQUIRES: an exception of the tree is set.
void reclassify(PyObject* type);

// Raises type(message) with the attribute cursor set; returns null, for `return raise(...)`.
PyObject* raise(PyObject* type, CursorObject* cursor, const char* message);

}  // namespace psycoev::values
