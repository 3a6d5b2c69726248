// ReplicationCursor: begins a replication stream, and reads its messages.
#include <cmath>
#include <new>

#include "commands/failure.h"
#include "commands/run.h"
#include "commands/turn.h"
#include "types/async_query.h"
#include "types/checks.h"
#include "types/cursor_type.h"
#include "types/replication_type.h"
#include "values/error.h"

namespace psycoev::types {

using commands::ReadAnswer;
using values::exceptions;

namespace {

PyTypeObject* replication_cursor_type;

struct ReplicationCursorObject {
  CursorObject base;
  commands::ReplicationState state;
  bool is_starting;   // on an asynchronous connection: poll() will see the stream begin
  bool is_consuming;  // within consume_stream()
  bool decodes;
};

ReplicationCursorObject* as_replication(PyObject* object) {
  return reinterpret_cast<ReplicationCursorObject*>(object);
}

PyObject* replication_cursor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* object = cursor_type->tp_new(type, args, kwargs);
  if (object != nullptr) new (&as_replication(object)->state) commands::ReplicationState;
  return object;
}

bool require_stream(const ReplicationCursorObject* self, const char* name) {
  if (self->state.is_streaming) return true;
  PyErr_Format(exceptions.programming_error,
               "%s cannot be used when replication is not in progress", name);
  return false;
}

bool check_interval(double seconds, const char* name) {
  if (seconds >= 1) return true;
  PyErr_Format(PyExc_ValueError, "%s must be >= 1 (sec)", name);
  return false;
}

bool start(ReplicationCursorObject* self, PyObject* query) {
  CursorObject* cursor = &self->base;
  ConnectionObject* connection = cursor->connection;
  Py_XSETREF(cursor->query, Py_NewRef(query));
  if (connection->is_async) {
    self->is_starting = true;
    return begin_async_query(cursor, PyBytes_AS_STRING(query));
  }
  const std::int64_t deadline = commands::statement_deadline(connection, cursor);
  const commands::Turn turn(connection, deadline);
  if (!turn) return false;
  ResultPtr result;
  const session::Outcome outcome =
      connection->session->query(PyBytes_AS_STRING(query), deadline, &result);
  if (outcome != session::Outcome::kDone) {
    commands::raise_outcome(connection, cursor, outcome);
    return false;
  }
  self->is_starting = true;
  return begin_stream(cursor, result.get()) ||
         commands::check(connection, cursor, &result, deadline);
}

PyObject* start_replication_expert(PyObject* object, PyObject* args, PyObject* kwargs) {
  ReplicationCursorObject* self = as_replication(object);
  static const char* names[] = {"command", "decode", "status_interval", nullptr};
  PyObject* command = nullptr;
  int decodes = 0;
  double status_interval = 10;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|pd:start_replication_expert",
                                   const_cast<char**>(names), &command, &decodes,
                                   &status_interval) ||
      !require_open_cursor(&self->base) ||
      !require_no_async_query(&self->base, "start_replication_expert")) {
    return nullptr;
  }
  if (self->state.is_streaming) {
    PyErr_SetString(
        exceptions.programming_error,
        "start_replication_expert cannot be used when replication is already in progress");
    return nullptr;
  }
  if (!check_interval(status_interval, "status_interval")) return nullptr;
  const Ref query(statement_bytes(&self->base, command));
  if (!query) return nullptr;
  self->decodes = decodes != 0;
  self->state = commands::ReplicationState{};
  self->state.status_interval = status_interval;
  return start(self, query.get()) ? Py_NewRef(Py_None) : nullptr;
}

// A new message; none without an exception: nothing is there, or the stream has ended.
PyObject* read(ReplicationCursorObject* self) {
  commands::ReplicationData data{};
  switch (commands::read_message(&self->base, &self->state, &data)) {
    case ReadAnswer::kMessage:
      return replication_message_new(&self->base, self->decodes, data);
    case ReadAnswer::kNothing:
    case ReadAnswer::kEnded:
    case ReadAnswer::kError:
      break;
  }
  return nullptr;
}

PyObject* read_message(PyObject* object, PyObject*) {
  ReplicationCursorObject* self = as_replication(object);
  if (!require_open_cursor(&self->base) || !require_stream(self, "read_message")) return nullptr;
  const commands::Turn turn(self->base.connection, COEV_NEVER);
  if (!turn || !commands::report_if_due(&self->base, &self->state)) return nullptr;
  PyObject* message = read(self);
  return message == nullptr && !PyErr_Occurred() ? Py_NewRef(Py_None) : message;
}

// The next message, waiting for one; none without an exception: the stream has ended.
PyObject* next_message(ReplicationCursorObject* self) {
  const commands::Turn turn(self->base.connection, COEV_NEVER);
  while (turn && self->state.is_streaming) {
    if (!commands::report_if_due(&self->base, &self->state)) return nullptr;
    PyObject* message = read(self);
    if (message != nullptr || PyErr_Occurred() || !self->state.is_streaming) return message;
    if (!commands::wait_for_message(&self->base, &self->state)) return nullptr;
  }
  return nullptr;
}

bool consume(ReplicationCursorObject* self, PyObject* consumer) {
  for (;;) {
    const Ref message(next_message(self));
    if (!message) return !PyErr_Occurred();
    const Ref done(PyObject_CallOneArg(consumer, message.get()));
    if (!done || !require_open_cursor(&self->base)) return false;
  }
}

PyObject* consume_stream(PyObject* object, PyObject* args, PyObject* kwargs) {
  ReplicationCursorObject* self = as_replication(object);
  static const char* names[] = {"consume", "keepalive_interval", nullptr};
  PyObject* consumer = nullptr;
  PyObject* interval = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:consume_stream", const_cast<char**>(names),
                                   &consumer, &interval) ||
      !require_open_cursor(&self->base) || !require_sync(self->base.connection, "consume_stream") ||
      !require_stream(self, "consume_stream")) {
    return nullptr;
  }
  if (self->is_consuming) {
    PyErr_SetString(exceptions.programming_error,
                    "consume_stream cannot be used when already in the consume loop");
    return nullptr;
  }
  if (interval != Py_None) {
    const double seconds = PyFloat_AsDouble(interval);
    if (seconds == -1 && PyErr_Occurred()) return nullptr;
    if (!check_interval(seconds, "keepalive_interval")) return nullptr;
    self->state.status_interval = seconds;
  }
  self->is_consuming = true;
  const bool done = consume(self, consumer);
  self->is_consuming = false;
  return done ? Py_NewRef(Py_None) : nullptr;
}

PyObject* send_feedback(PyObject* object, PyObject* args, PyObject* kwargs) {
  ReplicationCursorObject* self = as_replication(object);
  static const char* names[] = {"write_lsn", "flush_lsn", "apply_lsn", "reply", "force", nullptr};
  unsigned long long written = 0;
  unsigned long long flushed = 0;
  unsigned long long applied = 0;
  int reply = 0;
  int force = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|KKKpp:send_feedback", const_cast<char**>(names),
                                   &written, &flushed, &applied, &reply, &force) ||
      !require_open_cursor(&self->base) || !require_stream(self, "send_feedback")) {
    return nullptr;
  }
  commands::ReplicationState& state = self->state;
  if (written > state.written) state.written = written;
  if (flushed > state.flushed) state.flushed = flushed;
  if (flushed > state.flushed_by_program) state.flushed_by_program = flushed;
  if (applied > state.applied) state.applied = applied;
  if (reply == 0 && force == 0) Py_RETURN_NONE;
  const commands::Turn turn(self->base.connection, COEV_NEVER);
  if (!turn || !commands::report(&self->base, &state, reply != 0)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* local_time(double seconds) {
  const Ref module(PyImport_ImportModule("datetime"));
  const Ref type(module ? PyObject_GetAttrString(module.get(), "datetime") : nullptr);
  return type ? PyObject_CallMethod(type.get(), "fromtimestamp", "d", seconds) : nullptr;
}

PyObject* get_wal_end(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(as_replication(object)->state.end);
}

PyObject* get_io_timestamp(PyObject* object, void*) {
  return local_time(as_replication(object)->state.last_heard);
}

PyObject* get_feedback_timestamp(PyObject* object, void*) {
  return local_time(as_replication(object)->state.last_reported);
}

PyObject* replication_cursor_repr(PyObject* object) {
  return PyUnicode_FromFormat("<ReplicationCursor object at %p; closed: %d>", object,
                              static_cast<int>(as_replication(object)->base.closed));
}

PyMethodDef kMethods[] = {
    {"start_replication_expert", method(start_replication_expert), METH_VARARGS | METH_KEYWORDS,
     "start_replication_expert(command, decode=False, status_interval=10) -- begin a stream\n\n"
     "Switches: always."},
    {"consume_stream", method(consume_stream), METH_VARARGS | METH_KEYWORDS,
     "consume_stream(consume, keepalive_interval=None) -- call consume(message) for each "
     "message\n\n"
     "It ends by an exception of consume(), as StopReplication.\n\nSwitches: always."},
    {"read_message", read_message, METH_NOARGS,
     "read_message() -> the next message if one is there, else None\n\nSwitches: only if a report "
     "to the server has to wait."},
    {"send_feedback", method(send_feedback), METH_VARARGS | METH_KEYWORDS,
     "send_feedback(write_lsn=0, flush_lsn=0, apply_lsn=0, reply=False, force=False) -- what is "
     "confirmed to the server, with the next report or at once\n\nSwitches: only if it has to "
     "wait."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kAttributes[] = {
    {"wal_end", get_wal_end, nullptr, "Where the server's log ends, as it last said.", nullptr},
    {"io_timestamp", get_io_timestamp, nullptr, "When the last message came.", nullptr},
    {"feedback_timestamp", get_feedback_timestamp, nullptr, "When the last report went.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

}  // namespace

bool begin_stream(CursorObject* cursor, const PGresult* result) {
  PyObject* object = reinterpret_cast<PyObject*>(cursor);
  if (!PyObject_TypeCheck(object, replication_cursor_type)) return false;
  ReplicationCursorObject* self = as_replication(object);
  const bool was_starting = std::exchange(self->is_starting, false);
  self->state.is_streaming = was_starting && PQresultStatus(result) == PGRES_COPY_BOTH;
  return self->state.is_streaming;
}

bool add_replication_cursor(PyObject* module) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("ReplicationCursor(conn): the stream of a connection.")},
      {Py_tp_new, reinterpret_cast<void*>(replication_cursor_new)},
      {Py_tp_repr, reinterpret_cast<void*>(replication_cursor_repr)},
      {Py_tp_methods, kMethods},
      {Py_tp_getset, kAttributes},
      {0, nullptr}};
  static PyType_Spec spec = {"psycoev.extensions.ReplicationCursor",
                             sizeof(ReplicationCursorObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  const Ref bases(PyTuple_Pack(1, cursor_type));
  replication_cursor_type = reinterpret_cast<PyTypeObject*>(
      bases ? PyType_FromSpecWithBases(&spec, bases.get()) : nullptr);
  return replication_cursor_type != nullptr &&
         PyModule_AddObjectRef(module, "ReplicationCursor",
                               reinterpret_cast<PyObject*>(replication_cursor_type)) == 0;
}

}  // namespace psycoev::types
