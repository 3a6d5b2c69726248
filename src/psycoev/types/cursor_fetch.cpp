// Fetching: fetchone(), fetchmany(), fetchall(), iteration and scroll().
#include <cstring>

#include "types/checks.h"
#include "types/cursor_result.h"
#include "types/cursor_type.h"
#include "types/named_cursor.h"
#include "types/pipeline.h"
#include "values/error.h"
#include "values/result_set.h"

namespace psycoev::types {

using values::exceptions;

namespace {

// Keeps a result over the calls of Python code that decoding its rows may need.
class Hold {
 public:
  explicit Hold(values::ResultSet* set) : set_(set) { set_->retain(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() { set_->release(); }

 private:
  values::ResultSet* set_;
};

PyObject* no_results() {
  PyErr_SetString(exceptions.programming_error, "no results to fetch");
  return nullptr;
}

bool can_fetch(CursorObject* self, const char* name) {
  if (!require_open_cursor(self) || !require_no_async_query(self, name)) return false;
  if (is_in_pipeline(self->connection) && !pipeline_receive(self)) return false;
  if (self->result != nullptr || self->name != nullptr) return true;
  no_results();
  return false;
}

// The next row; null without an exception at the end.
PyObject* next_row(CursorObject* self) {
  values::ResultSet* set = self->result;
  if (set == nullptr) return no_results();
  if (self->row >= set->rows()) return nullptr;
  const Hold hold(set);
  return set->decoder().build(self, set->get(), static_cast<int>(self->row++));
}

PyObject* rows_until(CursorObject* self, long end) {
  values::ResultSet* set = self->result;
  if (set == nullptr) return no_results();
  if (end > set->rows()) end = set->rows();
  const long begin = self->row;
  const Hold hold(set);
  Ref list(PyList_New(end > begin ? end - begin : 0));
  if (!list) return nullptr;
  self->row = end > begin ? end : begin;
  for (long i = begin; i < end; ++i) {
    PyObject* row = set->decoder().build(self, set->get(), static_cast<int>(i));
    if (row == nullptr) return nullptr;
    PyList_SET_ITEM(list.get(), i - begin, row);
  }
  return list.release();
}

PyObject* cursor_fetchone(PyObject* object, PyObject*) {
  CursorObject* self = as_cursor(object);
  if (!can_fetch(self, "fetchone")) return nullptr;
  if (self->name != nullptr && !fetch_forward(self, 1)) return nullptr;
  PyObject* row = next_row(self);
  if (row == nullptr && !PyErr_Occurred()) Py_RETURN_NONE;
  return row;
}

PyObject* cursor_fetchmany(PyObject* object, PyObject* args, PyObject* kwargs) {
  CursorObject* self = as_cursor(object);
  static const char* names[] = {"size", nullptr};
  PyObject* given = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:fetchmany", const_cast<char**>(names),
                                   &given)) {
    return nullptr;
  }
  const long size = given == Py_None ? self->arraysize : PyLong_AsLong(given);
  if (size == -1 && PyErr_Occurred()) return nullptr;
  if (!can_fetch(self, "fetchmany")) return nullptr;
  if (self->name != nullptr && !fetch_forward(self, size < 0 ? 0 : size)) return nullptr;
  return rows_until(self, size < 0 ? self->row : self->row + size);
}

PyObject* cursor_fetchall(PyObject* object, PyObject*) {
  CursorObject* self = as_cursor(object);
  if (!can_fetch(self, "fetchall")) return nullptr;
  if (self->name != nullptr && !fetch_forward(self, -1)) return nullptr;
  return rows_until(self, self->result != nullptr ? self->result->rows() : 0);
}

bool scroll_here(CursorObject* self, bool is_absolute, long value) {
  const long target = is_absolute ? value : self->row + value;
  if (target < 0 || target >= self->rowcount) {
    PyErr_SetString(exceptions.programming_error, "scroll destination out of bounds");
    return false;
  }
  self->row = target;
  return true;
}

PyObject* cursor_scroll(PyObject* object, PyObject* args, PyObject* kwargs) {
  CursorObject* self = as_cursor(object);
  static const char* names[] = {"value", "mode", nullptr};
  long value = 0;
  const char* mode = "relative";
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "l|s:scroll", const_cast<char**>(names), &value,
                                   &mode)) {
    return nullptr;
  }
  if (!require_open_cursor(self)) return nullptr;
  const bool is_absolute = std::strcmp(mode, "absolute") == 0;
  if (!is_absolute && std::strcmp(mode, "relative") != 0) {
    PyErr_SetString(exceptions.programming_error, "scroll mode must be 'relative' or 'absolute'");
    return nullptr;
  }
  if (self->name == nullptr && !can_fetch(self, "scroll")) return nullptr;
  const bool done = self->name == nullptr ? scroll_here(self, is_absolute, value)
                                          : move(self, is_absolute, value);
  return done ? Py_NewRef(Py_None) : nullptr;
}

}  // namespace

PyObject* cursor_iternext(PyObject* object) {
  CursorObject* self = as_cursor(object);
  if (!can_fetch(self, "fetchone")) return nullptr;
  if (self->name != nullptr && (self->result == nullptr || self->row >= self->result->rows()) &&
      !fetch_forward(self, self->itersize)) {
    return nullptr;
  }
  return next_row(self);
}

PyObject* cursor_close(PyObject* object, PyObject*) {
  CursorObject* self = as_cursor(object);
  if (self->closed) Py_RETURN_NONE;
  if (self->connection != nullptr && self->name != nullptr && !close_named(self)) return nullptr;
  self->closed = true;
  values::ResultSet* set = std::exchange(self->result, nullptr);
  if (set != nullptr) set->release();
  Py_RETURN_NONE;
}

PyMethodDef kFetchMethods[] = {
    {"fetchone", cursor_fetchone, METH_NOARGS,
     "fetchone() -> the next row, or None\n\nSwitches: only if it is a named cursor."},
    {"fetchmany", method(cursor_fetchmany), METH_VARARGS | METH_KEYWORDS,
     "fetchmany(size=self.arraysize) -> the next rows, a list\n\nSwitches: only if it is a named "
     "cursor."},
    {"fetchall", cursor_fetchall, METH_NOARGS,
     "fetchall() -> the rows that are left, a list\n\nSwitches: only if it is a named cursor."},
    {"scroll", method(cursor_scroll), METH_VARARGS | METH_KEYWORDS,
     "scroll(value, mode='relative') -- go to another row\n\nSwitches: only if it is a named "
     "cursor."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace psycoev::types
