#include "values/casts.h"
#include "values/encoding.h"

namespace psycoev::values {

PyObject* cast_text(const char* data, Py_ssize_t size, CursorObject* cursor) {
  return decode(data, size, cursor == nullptr ? nullptr : cursor->connection);
}

PyObject* cast_bytes(const char* data, Py_ssize_t size, CursorObject*) {
  return PyBytes_FromStringAndSize(data, size);
}

}  // namespace psycoev::values
