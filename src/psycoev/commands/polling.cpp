#include "commands/polling.h"

#include "commands/failure.h"
#include "commands/turn.h"
#include "values/error.h"

namespace psycoev::commands {

using session::Outcome;
using values::exceptions;

PyObject* wait_callback;

namespace {

// What libpq refused: raises, and closes what is broken.
int fail(ConnectionObject* connection) {
  connection->poll_state = kPollIdle;
  raise_outcome(connection, nullptr, connection->session->conclude(Outcome::kFailed));
  return -1;
}

int poll_connecting(ConnectionObject* connection) {
  switch (PQconnectPoll(connection->pg)) {
    case PGRES_POLLING_READING:
      return kPollRead;
    case PGRES_POLLING_WRITING:
      return kPollWrite;
    case PGRES_POLLING_OK:
      return kPollOk;
    default:
      values::raise_from_connection(connection, nullptr, "asynchronous connection failed");
      connection->session->close(2);
      return -1;
  }
}

int poll_writing(ConnectionObject* connection) {
  const int left = PQflush(connection->pg);
  if (left < 0) return fail(connection);
  if (left > 0) return kPollWrite;
  connection->poll_state = kPollReading;
  return kPollRead;
}

// Collects what has come, as Session::collect() does.
int poll_reading(ConnectionObject* connection) {
  PGconn* pg = connection->pg;
  // An error here is told by the last result, with what the server said.
  static_cast<void>(connection->session->read_available());
  while (PQisBusy(pg) == 0) {
    ResultPtr next(connection->session->take_ready_result());
    if (next == nullptr) {
      connection->poll_state = kPollIdle;
      return kPollOk;
    }
    const ExecStatusType status = PQresultStatus(next.get());
    PGresult*& kept = connection->polled_result;
    if (kept == nullptr || PQresultStatus(kept) != PGRES_FATAL_ERROR) {
      PQclear(kept);
      kept = next.release();
    }
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH ||
        PQstatus(pg) == CONNECTION_BAD) {
      connection->poll_state = kPollIdle;
      return kPollOk;
    }
  }
  return kPollRead;
}

}  // namespace

int poll(ConnectionObject* connection) {
  return connection->connecting ? poll_connecting(connection) : poll_query(connection);
}

int poll_query(ConnectionObject* connection) {
  switch (connection->poll_state) {
    case kPollWriting:
      return poll_writing(connection);
    case kPollReading:
      return poll_reading(connection);
    default:
      // Nothing runs: what may have come is notifications.
      return connection->session->read_available() ? kPollOk : fail(connection);
  }
}

bool begin_polled(ConnectionObject* connection, CursorObject* cursor, const char* sql) {
  PQclear(connection->polled_result);
  connection->polled_result = nullptr;
  const Outcome outcome = connection->session->send_query(sql);
  if (outcome != Outcome::kDone) {
    raise_outcome(connection, cursor, connection->session->conclude(outcome));
    return false;
  }
  const int left = PQflush(connection->pg);
  if (left < 0) return fail(connection), false;
  connection->poll_state = left == 0 ? kPollReading : kPollWriting;
  return true;
}

bool wait_by_callback(ConnectionObject* connection) {
  if (wait_callback == nullptr) {
    PyErr_SetString(exceptions.operational_error, "wait callback not available");
    return false;
  }
  const Ref callback = Ref::borrowed(wait_callback);
  const Ref done(PyObject_CallOneArg(callback.get(), reinterpret_cast<PyObject*>(connection)));
  return static_cast<bool>(done);
}

bool run_by_callback(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                     ResultPtr* result) {
  if (!begin_polled(connection, cursor, sql)) return false;
  const bool waited = wait_by_callback(connection);
  result->reset(std::exchange(connection->polled_result, nullptr));
  if (!waited || connection->poll_state != kPollIdle || *result == nullptr) {
    // Whether the network or the callback failed cannot be told apart, and the callback is what
    // would wait for a cancelled query's end.
    connection->poll_state = kPollIdle;
    if (!PyErr_Occurred()) {
      raise_outcome(connection, cursor,
                    connection->pg != nullptr ? Outcome::kFailed : Outcome::kClosed);
    }
    connection->session->close(2);
    return false;
  }
  if (PQstatus(connection->pg) == CONNECTION_BAD) connection->session->close(2);
  return follow_settings(connection);
}

}  // namespace psycoev::commands
