// copy_from(), copy_to() and copy_expert().
#include "commands/copy.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "types/checks.h"
#include "types/cursor_result.h"
#include "types/cursor_type.h"
#include "values/copy.h"
#include "values/error.h"

namespace psycoev::types {
namespace {

// Owned, or none without an exception.
Ref method_of(PyObject* file, const char* name) {
  Ref found(PyObject_GetAttrString(file, name));
  if (!found) PyErr_Clear();
  return found;
}

bool can_copy(CursorObject* self, const char* name) {
  return require_open_cursor(self) && require_sync(self->connection, name) &&
         require_unprepared(self->connection, name);
}

// The statement of copy_from() and copy_to(), with PostgreSQL's own marks by default; bytes.
PyObject* statement(CursorObject* self, bool from_stdin, PyObject* table, PyObject* columns,
                    PyObject* separator, PyObject* null_mark) {
  const Ref tab(separator != nullptr ? Py_NewRef(separator) : PyUnicode_FromString("\t"));
  const Ref mark(null_mark != nullptr ? Py_NewRef(null_mark) : PyUnicode_FromString("\\N"));
  if (!tab || !mark) return nullptr;
  return values::copy_statement(self->connection, from_stdin, table, columns, tab.get(),
                                mark.get());
}

// OWNS: query.
bool run_copy(CursorObject* self, PyObject* query, PyObject* file, Py_ssize_t block) {
  if (query == nullptr) return false;
  ConnectionObject* connection = self->connection;
  Py_XSETREF(self->query, query);
  const Ref kept = Ref::borrowed(query);
  const Ref read = method_of(file, "read");
  const Ref write = method_of(file, "write");
  commands::CopyFile copied{read.get(), write.get(), false, block};
  const int is_text = values::is_text_file(file);
  if (is_text < 0) return false;
  copied.is_text = is_text != 0;
  const std::int64_t deadline = commands::statement_deadline(connection, self);
  forget_result(self);
  const commands::Turn turn(connection, deadline);
  ResultPtr result;
  return turn && commands::begin_if_needed(connection, self, deadline) &&
         commands::copy(connection, self, PyBytes_AS_STRING(kept.get()), copied, deadline,
                        &result) &&
         take_result(self, &result, deadline);
}

bool require_method(PyObject* file, const char* name) {
  if (PyObject_HasAttrString(file, name)) return true;
  PyErr_Format(PyExc_TypeError, "argument 1 must have a .%s() method", name);
  return false;
}

PyObject* cursor_copy_from(PyObject* object, PyObject* args, PyObject* kwargs) {
  CursorObject* self = as_cursor(object);
  static const char* names[] = {"file", "table", "sep", "null", "size", "columns", nullptr};
  PyObject* file = nullptr;
  PyObject* table = nullptr;
  PyObject* separator = nullptr;
  PyObject* null_mark = nullptr;
  Py_ssize_t size = 8192;
  PyObject* columns = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OU|OOnO:copy_from", const_cast<char**>(names),
                                   &file, &table, &separator, &null_mark, &size, &columns) ||
      !require_method(file, "read") || !can_copy(self, "copy_from")) {
    return nullptr;
  }
  PyObject* query = statement(self, true, table, columns, separator, null_mark);
  return run_copy(self, query, file, size) ? Py_NewRef(Py_None) : nullptr;
}

PyObject* cursor_copy_to(PyObject* object, PyObject* args, PyObject* kwargs) {
  CursorObject* self = as_cursor(object);
  static const char* names[] = {"file", "table", "sep", "null", "columns", nullptr};
  PyObject* file = nullptr;
  PyObject* table = nullptr;
  PyObject* separator = nullptr;
  PyObject* null_mark = nullptr;
  PyObject* columns = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OU|OOO:copy_to", const_cast<char**>(names), &file,
                                   &table, &separator, &null_mark, &columns) ||
      !require_method(file, "write") || !can_copy(self, "copy_to")) {
    return nullptr;
  }
  PyObject* query = statement(self, false, table, columns, separator, null_mark);
  return run_copy(self, query, file, 0) ? Py_NewRef(Py_None) : nullptr;
}

PyObject* cursor_copy_expert(PyObject* object, PyObject* args, PyObject* kwargs) {
  CursorObject* self = as_cursor(object);
  static const char* names[] = {"sql", "file", "size", nullptr};
  PyObject* sql = nullptr;
  PyObject* file = nullptr;
  Py_ssize_t size = 8192;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|n:copy_expert", const_cast<char**>(names),
                                   &sql, &file, &size) ||
      !can_copy(self, "copy_expert")) {
    return nullptr;
  }
  const Ref query(statement_bytes(self, sql));
  if (!query) return nullptr;
  if (!PyObject_HasAttrString(file, "read") && !PyObject_HasAttrString(file, "write")) {
    PyErr_SetString(PyExc_TypeError,
                    "file must be a readable file-like object for COPY FROM; a writable file-like "
                    "object for COPY TO.");
    return nullptr;
  }
  return run_copy(self, Py_NewRef(query.get()), file, size) ? Py_NewRef(Py_None) : nullptr;
}

}  // namespace

PyMethodDef kCopyMethods[] = {
    {"copy_from", method(cursor_copy_from), METH_VARARGS | METH_KEYWORDS,
     "copy_from(file, table, sep='\\t', null='\\\\N', size=8192, columns=None) -- append what "
     "file.read(size) gives to a table\n\nSwitches: always. read() cannot use the connection."},
    {"copy_to", method(cursor_copy_to), METH_VARARGS | METH_KEYWORDS,
     "copy_to(file, table, sep='\\t', null='\\\\N', columns=None) -- give a table's rows to "
     "file.write(), many at once\n\nSwitches: always. write() cannot use the connection."},
    {"copy_expert", method(cursor_copy_expert), METH_VARARGS | METH_KEYWORDS,
     "copy_expert(sql, file, size=8192) -- run a COPY statement\n\nSwitches: always."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace psycoev::types
