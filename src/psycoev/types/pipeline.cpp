#include "types/pipeline.h"

#include <new>
#include <optional>

#include "commands/failure.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "types/checks.h"
#include "types/connection_type.h"
#include "types/cursor_result.h"
#include "types/cursor_type.h"
#include "values/error.h"

namespace psycoev::types {

using session::Outcome;
using values::exceptions;

namespace {

PyTypeObject* pipeline_type;

struct PipelineObject {
  PyObject ob_base;
  ConnectionObject* connection;        // owned
  PyObject* pending;                   // a list: whose answers are to come, None is nobody's
  std::optional<commands::Turn> turn;  // within the block
  std::int64_t deadline;
  bool has_begun;  // BEGIN has been sent, or a transaction is open
};

PipelineObject* as_pipeline(PyObject* object) { return reinterpret_cast<PipelineObject*>(object); }

PipelineObject* pipeline_of(CursorObject* cursor) {
  return as_pipeline(cursor->connection->pipeline);
}

// Leaves the block; the connection is in step or closed.
void leave(PipelineObject* self) {
  self->connection->pipeline = nullptr;
  PyList_SetSlice(self->pending, 0, PyList_GET_SIZE(self->pending), nullptr);
  self->turn.reset();
}

bool fail(PipelineObject* self, CursorObject* cursor, Outcome outcome) {
  ConnectionObject* connection = self->connection;
  commands::raise_outcome(connection, cursor, connection->session->conclude(outcome));
  const SavedException saved;
  // What was recovered from has left pipeline mode.
  if (connection->pg == nullptr || PQpipelineStatus(connection->pg) == PQ_PIPELINE_OFF) leave(self);
  return false;
}

bool send(PipelineObject* self, CursorObject* cursor, const char* sql) {
  session::Session* session = self->connection->session;
  Outcome outcome = session->send_in_pipeline(sql);
  if (outcome == Outcome::kDone) outcome = session->flush(self->deadline);
  if (outcome != Outcome::kDone) return fail(self, cursor, outcome);
  PyObject* whose = cursor != nullptr ? reinterpret_cast<PyObject*>(cursor) : Py_None;
  return PyList_Append(self->pending, whose) == 0;
}

bool begin_if_needed(PipelineObject* self) {
  const ConnectionObject* connection = self->connection;
  if (self->has_begun || (connection->autocommit && !connection->entered)) return true;
  self->has_begun = true;
  char sql[commands::kBeginSize];
  commands::begin_statement(connection, sql);
  return send(self, nullptr, sql);
}

bool take(PipelineObject* self, PyObject* whose, ResultPtr result) {
  ConnectionObject* connection = self->connection;
  CursorObject* cursor = whose == Py_None ? nullptr : as_cursor(whose);
  if (PQresultStatus(result.get()) == PGRES_PIPELINE_ABORTED) {
    values::raise(exceptions.operational_error, cursor,
                  "the statement was not executed, because one before it in the pipeline failed");
    return false;
  }
  if (cursor != nullptr) return take_result(cursor, &result, self->deadline);
  return commands::check(connection, nullptr, &result, self->deadline);
}

// The oldest answer that is to come. False with an exception set: the statement's error, or
// self->turn is gone.
bool receive_one(PipelineObject* self) {
  session::Session* session = self->connection->session;
  const Ref whose = Ref::borrowed(PyList_GET_ITEM(self->pending, 0));
  ResultPtr result;
  ResultPtr end;
  Outcome outcome = session->next_result(self->deadline, &result);
  if (outcome == Outcome::kDone && result != nullptr) {
    outcome = session->next_result(self->deadline, &end);
  }
  if (outcome != Outcome::kDone) return fail(self, nullptr, outcome);
  if (result == nullptr || PQstatus(self->connection->pg) == CONNECTION_BAD) {
    return fail(self, nullptr, Outcome::kFailed);
  }
  if (PyList_SetSlice(self->pending, 0, 1, nullptr) < 0) return false;
  return take(self, whose.get(), std::move(result));
}

// Receives everything, up to the synchronization; then raises the first error of it.
bool synchronize(PipelineObject* self) {
  session::Session* session = self->connection->session;
  Outcome outcome = session->synchronize();
  if (outcome == Outcome::kDone) outcome = session->flush(self->deadline);
  if (outcome != Outcome::kDone) return fail(self, nullptr, outcome);
  bool is_good = true;
  while (PyList_GET_SIZE(self->pending) > 0) {
    if (is_good) {
      is_good = receive_one(self);
    } else {
      const SavedException first;
      if (!receive_one(self)) PyErr_Clear();
    }
    if (!self->turn) return false;
  }
  ResultPtr end;
  const SavedException first;
  outcome = session->next_result(self->deadline, &end);
  if (outcome != Outcome::kDone) {
    fail(self, nullptr, outcome);
    PyErr_Clear();
    return false;
  }
  self->has_begun = session->transaction_status() != PQTRANS_IDLE;
  return is_good;
}

bool require_block(PipelineObject* self) {
  if (self->turn && is_in_pipeline(self->connection)) return true;
  PyErr_SetString(exceptions.programming_error, "this pipeline() block is not under way");
  return false;
}

PyObject* pipeline_enter(PyObject* object, PyObject*) {
  PipelineObject* self = as_pipeline(object);
  ConnectionObject* connection = self->connection;
  if (!require_connected(connection) || !require_sync(connection, "pipeline") ||
      !require_unprepared(connection, "pipeline")) {
    return nullptr;
  }
  self->deadline = commands::statement_deadline(connection);
  self->turn.emplace(connection, self->deadline);
  if (!*self->turn) {
    self->turn.reset();
    return nullptr;
  }
  const Outcome outcome = connection->session->enter_pipeline();
  if (outcome != Outcome::kDone) return fail(self, nullptr, outcome), nullptr;
  self->has_begun = connection->session->transaction_status() != PQTRANS_IDLE;
  connection->pipeline = object;
  return Py_NewRef(object);
}

PyObject* pipeline_sync(PyObject* object, PyObject*) {
  PipelineObject* self = as_pipeline(object);
  return require_block(self) && synchronize(self) ? Py_NewRef(Py_None) : nullptr;
}

PyObject* pipeline_exit(PyObject* object, PyObject* args) {
  PipelineObject* self = as_pipeline(object);
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  if (!PyArg_ParseTuple(args, "OOO:__exit__", &type, &value, &traceback)) return nullptr;
  // A block whose connection broke, or was recovered, has ended already.
  if (!self->turn) Py_RETURN_NONE;
  if (!require_block(self)) return nullptr;
  const bool is_good = synchronize(self);
  if (self->turn) {
    const SavedException saved;
    const Outcome outcome = self->connection->session->exit_pipeline();
    if (outcome != Outcome::kDone) self->connection->session->close(2);
    leave(self);
  }
  if (is_good) Py_RETURN_NONE;
  // The block's own exception is the one to be told.
  if (type == Py_None || !PyErr_ExceptionMatches(PyExc_Exception)) return nullptr;
  PyErr_Clear();
  Py_RETURN_NONE;
}

int pipeline_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(reinterpret_cast<PyObject*>(as_pipeline(object)->connection));
  Py_VISIT(as_pipeline(object)->pending);
  return 0;
}

void pipeline_dealloc(PyObject* object) {
  PipelineObject* self = as_pipeline(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self->turn) {
    // Never left: nothing waits here, so the connection is closed.
    self->connection->session->close(2);
    self->connection->pipeline = nullptr;
  }
  self->turn.~optional();
  Py_XDECREF(self->pending);
  Py_XDECREF(reinterpret_cast<PyObject*>(self->connection));
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* connection_pipeline(PyObject* object, PyObject*) {
  Ref pending(PyList_New(0));
  PyObject* made = pending ? pipeline_type->tp_alloc(pipeline_type, 0) : nullptr;
  if (made == nullptr) return nullptr;
  PipelineObject* self = as_pipeline(made);
  new (&self->turn) std::optional<commands::Turn>;
  self->connection = as_connection(Py_NewRef(object));
  self->pending = pending.release();
  return made;
}

PyMethodDef kMethods[] = {
    {"sync", pipeline_sync, METH_NOARGS,
     "sync() -- receive the results of all statements; raises the first error of them\n\n"
     "Switches: always."},
    {"__enter__", pipeline_enter, METH_NOARGS, "__enter__() -> self"},
    {"__exit__", pipeline_exit, METH_VARARGS,
     "__exit__(type, value, traceback) -- sync(), and the end of the block"},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool pipeline_execute(CursorObject* cursor, const char* sql, std::int64_t deadline) {
  PipelineObject* self = pipeline_of(cursor);
  self->deadline = deadline;
  return begin_if_needed(self) && send(self, cursor, sql);
}

bool pipeline_receive(CursorObject* cursor) {
  PipelineObject* self = pipeline_of(cursor);
  const Ref kept = Ref::borrowed(reinterpret_cast<PyObject*>(self));
  int is_pending = PySequence_Contains(self->pending, reinterpret_cast<PyObject*>(cursor));
  if (is_pending <= 0) return is_pending == 0;
  session::Session* session = self->connection->session;
  Outcome outcome = session->request_answers();
  if (outcome == Outcome::kDone) outcome = session->flush(self->deadline);
  if (outcome != Outcome::kDone) return fail(self, cursor, outcome);
  while (is_pending > 0) {
    if (!receive_one(self)) return false;
    is_pending = PySequence_Contains(self->pending, reinterpret_cast<PyObject*>(cursor));
  }
  return is_pending == 0;
}

PyMethodDef kPipelineMethods[] = {
    {"pipeline", connection_pipeline, METH_NOARGS,
     "pipeline() -> a context manager: its statements do not wait for one another's answers\n\n"
     "Within the block execute() only sends, one statement at a time; a fetch waits for the "
     "cursor's result. rowcount and description hold after a fetch, sync(), or the block's end, "
     "which raise the first error. After an error the statements up to the next sync() are not "
     "executed. commit() and rollback() follow the block.\n\n"
     "Switches: execute() only if the socket's buffer is full."},
    {nullptr, nullptr, 0, nullptr}};

bool add_pipeline(PyObject* module) {
  static PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("What connection.pipeline() gives.")},
                                {Py_tp_dealloc, reinterpret_cast<void*>(pipeline_dealloc)},
                                {Py_tp_traverse, reinterpret_cast<void*>(pipeline_traverse)},
                                {Py_tp_methods, kMethods},
                                {0, nullptr}};
  static PyType_Spec spec = {
      "psycoev.extensions.Pipeline", sizeof(PipelineObject), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  pipeline_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return pipeline_type != nullptr &&
         PyModule_AddObjectRef(module, "Pipeline", reinterpret_cast<PyObject*>(pipeline_type)) == 0;
}

}  // namespace psycoev::types
