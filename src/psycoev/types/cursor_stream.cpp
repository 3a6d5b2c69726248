// cursor.stream(): the rows of a statement one after another as they come, so that a result of any
// size needs the memory of a row (libpq, "Retrieving Query Results Row-by-Row").
#include <new>
#include <optional>

#include "commands/failure.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "types/checks.h"
#include "types/cursor_result.h"
#include "types/cursor_type.h"
#include "values/error.h"
#include "values/row_decoder.h"

namespace psycoev::types {

using session::Outcome;
using values::exceptions;

namespace {

PyTypeObject* stream_type;

// Has the connection's turn from its beginning to the last row, or to close().
struct StreamObject {
  PyObject ob_base;
  CursorObject* cursor;  // owned
  std::optional<commands::Turn> turn;
  std::optional<values::RowDecoder> decoder;
  std::int64_t deadline;
};

StreamObject* as_stream(PyObject* object) { return reinterpret_cast<StreamObject*>(object); }

// Ends the turn; what is unread of the result has been read or the connection closed.
void finish(StreamObject* self) {
  self->decoder.reset();
  self->turn.reset();
}

PyObject* fail(StreamObject* self, Outcome outcome) {
  ConnectionObject* connection = self->cursor->connection;
  commands::raise_outcome(connection, self->cursor, connection->session->conclude(outcome));
  finish(self);
  return nullptr;
}

bool is_copy(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

// The statement's error, or a COPY: all of the answer is read before it is told.
PyObject* fail_with(StreamObject* self, ResultPtr result) {
  session::Session* session = self->cursor->connection->session;
  ResultPtr rest;
  while (!is_copy(result.get())) {
    const Outcome outcome = session->next_result(self->deadline, &rest);
    if (outcome != Outcome::kDone) return fail(self, outcome);
    if (rest == nullptr) break;
  }
  session->conclude(Outcome::kFailed);
  static_cast<void>(
      commands::check(self->cursor->connection, self->cursor, &result, self->deadline));
  finish(self);
  return nullptr;
}

PyObject* take_row(StreamObject* self, const PGresult* result) {
  CursorObject* cursor = self->cursor;
  if (!self->decoder) {
    self->decoder.emplace();
    if (!self->decoder->prepare(cursor, result)) return nullptr;
  }
  ++cursor->rowcount;
  return self->decoder->build(cursor, result, 0);
}

PyObject* stream_next(PyObject* object) {
  StreamObject* self = as_stream(object);
  if (!self->turn) return nullptr;
  ConnectionObject* connection = self->cursor->connection;
  if (!connection->session->is_entered_by_current()) {
    PyErr_SetString(exceptions.programming_error,
                    "the rows of stream() are for the coroutine that called it");
    return nullptr;
  }
  if (connection->pg == nullptr) return fail(self, Outcome::kClosed);
  for (;;) {
    ResultPtr result;
    const Outcome outcome = connection->session->next_result(self->deadline, &result);
    if (outcome != Outcome::kDone) return fail(self, outcome);
    if (result == nullptr) {
      finish(self);
      return nullptr;
    }
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_SINGLE_TUPLE) return take_row(self, result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      return fail_with(self, std::move(result));
    }
  }
}

PyObject* stream_close(PyObject* object, PyObject*) {
  StreamObject* self = as_stream(object);
  if (!self->turn) Py_RETURN_NONE;
  ConnectionObject* connection = self->cursor->connection;
  if (connection->pg != nullptr) connection->session->recover();
  finish(self);
  Py_RETURN_NONE;
}

PyObject* stream_enter(PyObject* object, PyObject*) { return Py_NewRef(object); }

PyObject* stream_exit(PyObject* object, PyObject*) { return stream_close(object, nullptr); }

void stream_dealloc(PyObject* object) {
  StreamObject* self = as_stream(object);
  PyTypeObject* type = Py_TYPE(object);
  // Nothing waits here: a connection whose rows nobody has read is closed.
  if (self->turn) {
    self->cursor->connection->session->close(2);
    finish(self);
  }
  self->turn.~optional();
  self->decoder.~optional();
  Py_XDECREF(reinterpret_cast<PyObject*>(self->cursor));
  type->tp_free(object);
  Py_DECREF(type);
}

bool start(StreamObject* self, const char* sql) {
  CursorObject* cursor = self->cursor;
  ConnectionObject* connection = cursor->connection;
  self->turn.emplace(connection, self->deadline);
  if (!*self->turn || !commands::begin_if_needed(connection, cursor, self->deadline)) {
    finish(self);
    return false;
  }
  Outcome outcome = connection->session->send_single_rows(sql);
  if (outcome == Outcome::kDone) outcome = connection->session->flush(self->deadline);
  if (outcome == Outcome::kDone) return true;
  fail(self, outcome);
  return false;
}

PyObject* cursor_stream(PyObject* object, PyObject* args, PyObject* kwargs) {
  CursorObject* cursor = as_cursor(object);
  static const char* names[] = {"query", "vars", "timeout", nullptr};
  PyObject* statement = nullptr;
  PyObject* parameters = Py_None;
  PyObject* timeout = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$O:stream", const_cast<char**>(names),
                                   &statement, &parameters, &timeout) ||
      !require_open_cursor(cursor) || !require_sync(cursor->connection, "stream") ||
      !require_unprepared(cursor->connection, "stream")) {
    return nullptr;
  }
  if (cursor->name != nullptr) {
    PyErr_SetString(exceptions.programming_error, "can't call .stream() on named cursors");
    return nullptr;
  }
  double seconds = -1;
  if (timeout != nullptr && !timeout_from(timeout, &seconds)) return nullptr;
  forget_result(cursor);
  Ref query(statement_bytes(cursor, statement, parameters));
  if (!query) return nullptr;
  const Ref kept = Ref::borrowed(query.get());
  Py_XSETREF(cursor->query, query.release());
  Ref stream(stream_type->tp_alloc(stream_type, 0));
  if (!stream) return nullptr;
  StreamObject* self = as_stream(stream.get());
  new (&self->turn) std::optional<commands::Turn>;
  new (&self->decoder) std::optional<values::RowDecoder>;
  self->cursor = as_cursor(Py_NewRef(object));
  self->deadline = timeout != nullptr ? coev->deadline_after(seconds)
                                      : commands::statement_deadline(cursor->connection, cursor);
  cursor->rowcount = 0;
  return start(self, PyBytes_AS_STRING(kept.get())) ? stream.release() : nullptr;
}

PyMethodDef kStreamTypeMethods[] = {
    {"close", stream_close, METH_NOARGS,
     "close() -- cancel what is not read yet\n\nSwitches: only if there is something."},
    {"__enter__", stream_enter, METH_NOARGS, "__enter__() -> self"},
    {"__exit__", stream_exit, METH_VARARGS, "__exit__(type, value, traceback) -- close()"},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyMethodDef kStreamMethods[] = {
    {"stream", method(cursor_stream), METH_VARARGS | METH_KEYWORDS,
     "stream(query, vars=None, *, timeout=None) -> an iterator of rows, each as it comes\n\n"
     "The connection is busy until the last row, or until close() of the iterator. An iterator\n"
     "that is dropped before closes the connection.\n\n"
     ":param timeout: seconds for all rows; None is without limit.\n\n"
     "Switches: always."},
    {nullptr, nullptr, 0, nullptr}};

bool add_stream(PyObject* module) {
  static PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("The rows of cursor.stream().")},
                                {Py_tp_dealloc, reinterpret_cast<void*>(stream_dealloc)},
                                {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
                                {Py_tp_iternext, reinterpret_cast<void*>(stream_next)},
                                {Py_tp_methods, kStreamTypeMethods},
                                {0, nullptr}};
  static PyType_Spec spec = {"psycoev.extensions.RowStream", sizeof(StreamObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  stream_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return stream_type != nullptr &&
         PyModule_AddObjectRef(module, "RowStream", reinterpret_cast<PyObject*>(stream_type)) == 0;
}

}  // namespace psycoev::types
