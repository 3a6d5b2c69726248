#include "types/async_query.h"

#include "commands/failure.h"
#include "commands/polling.h"
#include "commands/run.h"
#include "commands/turn.h"
#include "types/connection_type.h"
#include "types/cursor_result.h"
#include "types/replication_type.h"
#include "values/error.h"

namespace psycoev::types {
namespace {

// Owned; null: the cursor is gone, and nobody wants the result.
Ref referent(PyObject* weak_reference) {
  PyObject* object = PyWeakref_GetObject(weak_reference);
  return object == nullptr || object == Py_None ? Ref() : Ref::borrowed(object);
}

bool finish(ConnectionObject* connection) {
  const Ref weak(std::exchange(connection->async_cursor, nullptr));
  const Ref cursor = referent(weak.get());
  ResultPtr result(std::exchange(connection->polled_result, nullptr));
  if (PQstatus(connection->pg) == CONNECTION_BAD) {
    connection->session->conclude(session::Outcome::kFailed);
  } else if (!commands::follow_settings(connection)) {
    return false;
  }
  if (!cursor) {
    PyErr_SetString(values::exceptions.interface_error, "the asynchronous cursor has disappeared");
    return false;
  }
  if (result == nullptr) return true;
  if (begin_stream(as_cursor(cursor.get()), result.get())) return true;
  return take_result(as_cursor(cursor.get()), &result, COEV_NEVER);
}

}  // namespace

bool begin_async_query(CursorObject* cursor, const char* sql) {
  ConnectionObject* connection = cursor->connection;
  if (connection->async_cursor != nullptr || connection->connecting) {
    PyErr_SetString(values::exceptions.programming_error,
                    "execute cannot be used while an asynchronous query is underway");
    return false;
  }
  Ref weak(PyWeakref_NewRef(reinterpret_cast<PyObject*>(cursor), nullptr));
  if (!weak || !commands::begin_polled(connection, cursor, sql)) return false;
  Py_XSETREF(connection->async_cursor, weak.release());
  return true;
}

int poll_and_finish(ConnectionObject* connection) {
  session::Session* session = connection->session;
  // Another coroutine's query is under way: its answers are not for this one to read.
  if (!connection->is_async && connection->poll_state == commands::kPollIdle) {
    const commands::Turn turn(connection, COEV_NEVER);
    return turn ? connection_poll(connection) : -1;
  }
  const int answer = connection_poll(connection);
  if (answer < 0) {
    Py_CLEAR(connection->async_cursor);
    return -1;
  }
  if (connection->is_async) {
    if (session->pg() != nullptr) commands::deliver_messages(connection);
    if (answer == commands::kPollOk && connection->async_cursor != nullptr) {
      if (!finish(connection)) return -1;
    }
  }
  return answer;
}

}  // namespace psycoev::types
