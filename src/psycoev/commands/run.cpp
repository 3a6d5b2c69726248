#include "commands/run.h"

#include "commands/failure.h"
#include "commands/polling.h"
#include "commands/turn.h"
#include "values/error.h"

namespace psycoev::commands {

using session::Outcome;
using values::exceptions;

namespace {

// Ends a COPY that execute() has begun, so that the connection is usable again.
void end_copy(ConnectionObject* connection, std::int64_t deadline, ExecStatusType status) {
  const SavedException saved;
  session::Session* session = connection->session;
  Outcome outcome = Outcome::kDone;
  if (status != PGRES_COPY_OUT) {
    outcome = session->send(PQputCopyEnd(connection->pg, "COPY needs a method of its own") > 0);
    if (outcome == Outcome::kDone) outcome = session->flush(deadline);
  }
  while (outcome == Outcome::kDone && status == PGRES_COPY_OUT) {
    char* data = nullptr;
    const int size = PQgetCopyData(connection->pg, &data, 1);
    if (size > 0) {
      PQfreemem(data);
    } else if (size < 0) {
      break;
    } else {
      outcome = session->wait_and_read(COEV_READABLE, deadline);
    }
  }
  ResultPtr rest;
  while (outcome == Outcome::kDone) {
    outcome = session->next_result(deadline, &rest);
    if (rest == nullptr) break;
    if (PQresultStatus(rest.get()) == PGRES_COPY_BOTH) outcome = Outcome::kTimedOut;
  }
  session->conclude(outcome);
  PyErr_Clear();
}

const char* copy_refusal(ExecStatusType status) {
  switch (status) {
    case PGRES_COPY_OUT:
      return "can't execute COPY TO: use the copy_to() method instead";
    case PGRES_COPY_IN:
      return "can't execute COPY FROM: use the copy_from() method instead";
    default:
      return "can't execute START_REPLICATION: use the start_replication() method instead";
  }
}

}  // namespace

std::int64_t statement_deadline(const ConnectionObject* connection, const CursorObject* cursor) {
  const double seconds =
      cursor != nullptr && cursor->timeout >= 0 ? cursor->timeout : connection->timeout;
  return seconds < 0 ? COEV_NEVER : coev->deadline_after(seconds);
}

bool run(ConnectionObject* connection, CursorObject* cursor, const char* sql, std::int64_t deadline,
         ResultPtr* result) {
  return run_batch(connection, cursor, sql, deadline, result, nullptr);
}

bool run_batch(ConnectionObject* connection, CursorObject* cursor, const char* sql,
               std::int64_t deadline, ResultPtr* result, long long* affected) {
  if (uses_wait_callback(connection)) {
    if (affected != nullptr) *affected = -1;
    return run_by_callback(connection, cursor, sql, result);
  }
  const Outcome outcome = connection->session->query(sql, deadline, result, affected);
  if (outcome != Outcome::kDone) {
    raise_outcome(connection, cursor, outcome);
    return false;
  }
  return follow_settings(connection);
}

bool check(ConnectionObject* connection, CursorObject* cursor, ResultPtr* result,
           std::int64_t deadline) {
  const ExecStatusType status = PQresultStatus(result->get());
  switch (status) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
      return true;
    case PGRES_EMPTY_QUERY:
      values::raise(exceptions.programming_error, cursor, "can't execute an empty query");
      return false;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      values::raise(exceptions.programming_error, cursor, copy_refusal(status));
      end_copy(connection, deadline, status);
      return false;
    default:
      values::raise_from_result(connection, cursor, result->release());
      return false;
  }
}

bool run_checked(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                 std::int64_t deadline, ResultPtr* result) {
  return run(connection, cursor, sql, deadline, result) &&
         check(connection, cursor, result, deadline);
}

bool run_command(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                 std::int64_t deadline) {
  ResultPtr result;
  return run_checked(connection, cursor, sql, deadline, &result);
}

}  // namespace psycoev::commands
