// The layout of psycoev.Error, for those who fill one in.
#pragma once

#include "cursor.h"

namespace psycoev::values {

struct ErrorObject {
  PyBaseExceptionObject base;
  PyObject* pgerror;  // str or null: the server's message with its severity
  PyObject* pgcode;   // str or null: the SQLSTATE
  PyObject* cursor;   // null: none; not pickled
  PGresult* result;   // owned; what `diag` reads; null: none
  Codec codec;        // owned copy: of the connection that gave `result`
};

// Makes the type psycoev.Error, a subclass of Exception; null with an exception set.
[[nodiscard]] PyObject* make_error_type();
// Makes extensions.Diagnostics and adds it to the module.
[[nodiscard]] bool add_diagnostics(PyObject* module);

// A new Diagnostics of an error of ours.
[[nodiscard]] PyObject* diagnostics_new(PyObject* error);

}  // namespace psycoev::values
