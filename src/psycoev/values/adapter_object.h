// The layout that all our adapters share.
#pragma once

#include "connection.h"
#include "values/literals.h"

namespace psycoev::values {

struct AdapterObject {
  PyObject_HEAD WriteLiteral write;
  PyObject* adapted;             // owned; null before __init__
  ConnectionObject* connection;  // owned; what prepare() has got; null: none
  PyObject* encoding;            // owned str of a QuotedString without connection; null: Latin-1
  int kind;                      // of datetime adapters
};

[[nodiscard]] inline AdapterObject* as_adapter(PyObject* object) noexcept {
  return reinterpret_cast<AdapterObject*>(object);
}

// Slots of every adapter class.
int adapter_traverse(PyObject* object, visitproc visit, void* arg);
int adapter_clear(PyObject* object);
void adapter_dealloc(PyObject* object);
PyObject* adapter_getquoted(PyObject* object, PyObject*);
PyObject* adapter_conform(PyObject* object, PyObject* args);
PyObject* adapter_str(PyObject* object);

}  // namespace psycoev::values
