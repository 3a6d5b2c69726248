#include "commands/failure.h"

#include "values/error.h"

namespace psycoev::commands {

using session::Entry;
using session::Outcome;
using values::exceptions;

namespace {

constexpr char kForked[] =
    "the connection belongs to the parent process: connection already closed in this one";

void raise_timed_out(ConnectionObject* connection, CursorObject* cursor) {
  if (connection->pg != nullptr) {
    values::raise(exceptions.query_canceled, cursor,
                  "timeout expired: the statement has been cancelled");
  } else {
    values::raise(exceptions.operational_error, cursor,
                  "timeout expired and the statement could not be cancelled: the connection has "
                  "been closed unexpectedly");
  }
}

}  // namespace

PyObject* raise_outcome(ConnectionObject* connection, CursorObject* cursor, Outcome outcome) {
  switch (outcome) {
    case Outcome::kTimedOut:
      raise_timed_out(connection, cursor);
      break;
    case Outcome::kInterrupted:
      break;
    case Outcome::kClosed:
      values::raise(exceptions.interface_error, cursor, "connection already closed");
      break;
    case Outcome::kFailed:
    case Outcome::kDone:
      if (connection->pg != nullptr) {
        values::raise_from_connection(connection, cursor, "the connection failed");
      } else {
        const char* message = connection->session->failure();
        values::raise(exceptions.operational_error, cursor,
                      *message != '\0' ? message : "server closed the connection unexpectedly");
      }
      break;
  }
  return nullptr;
}

PyObject* raise_entry(Entry entry) {
  switch (entry) {
    case Entry::kForked:
      PyErr_SetString(exceptions.interface_error, kForked);
      break;
    case Entry::kNested:
      PyErr_SetString(exceptions.programming_error,
                      "the connection is busy with a command of this very coroutine: it cannot be "
                      "used within that command");
      break;
    case Entry::kTimedOut:
      PyErr_SetString(exceptions.query_canceled,
                      "timeout expired: another coroutine is using the connection");
      break;
    case Entry::kClosed:
    case Entry::kEntered:
      PyErr_SetString(exceptions.interface_error, "connection already closed");
      break;
    case Entry::kInterrupted:
      break;
  }
  return nullptr;
}

bool require_open(const ConnectionObject* connection) {
  if (connection->session != nullptr && connection->session->is_forked()) {
    PyErr_SetString(exceptions.interface_error, kForked);
    return false;
  }
  if (connection->closed == 0 && connection->pg != nullptr) return true;
  PyErr_SetString(exceptions.interface_error, "connection already closed");
  return false;
}

}  // namespace psycoev::commands
