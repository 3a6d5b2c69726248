#include "types/named_cursor.h"

#include "commands/failure.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "types/checks.h"
#include "types/cursor_type.h"
#include "values/adapt.h"
#include "values/error.h"

namespace psycoev::types {

using values::exceptions;

namespace {

// Executes a statement about the cursor, which then is its query.
bool execute_own(CursorObject* self, PyObject* query) {
  if (query == nullptr) return false;
  Py_XSETREF(self->query, query);
  // One that is WITH HOLD is used outside of transactions, too.
  return execute_query(self, commands::statement_deadline(self->connection, self), false);
}

// Whether the server has a cursor of this name: one that was declared otherwise may be taken over.
bool exists(CursorObject* self, bool* answer) {
  ConnectionObject* connection = self->connection;
  const Ref name(PyUnicode_FromString(self->name));
  const Ref literal(name ? values::adapt_to_sql(name.get(), connection) : nullptr);
  if (!literal) return false;
  const Ref query(PyBytes_FromFormat("SELECT 1 FROM pg_catalog.pg_cursors WHERE name = %s",
                                     PyBytes_AS_STRING(literal.get())));
  if (!query) return false;
  const std::int64_t deadline = commands::statement_deadline(connection, self);
  const commands::Turn turn(connection, deadline);
  ResultPtr result;
  if (!turn ||
      !commands::run_checked(connection, self, PyBytes_AS_STRING(query.get()), deadline, &result)) {
    return false;
  }
  *answer = PQntuples(result.get()) > 0;
  return true;
}

}  // namespace

bool can_declare(CursorObject* self) {
  if (self->connection == nullptr) return require_open_cursor(self);
  if (self->named_executed) {
    values::raise(exceptions.programming_error, self,
                  "can't call .execute() on named cursors more than once");
    return false;
  }
  const ConnectionObject* connection = self->connection;
  if (connection->autocommit && !connection->entered && !self->withhold) {
    values::raise(exceptions.programming_error, self,
                  "can't use a named cursor outside of transactions");
    return false;
  }
  self->mark = connection->mark;
  return true;
}

PyObject* declaration(CursorObject* self, PyObject* query) {
  self->named_executed = true;
  return PyBytes_FromFormat("DECLARE %s %sCURSOR %s HOLD FOR %s", self->quoted_name,
                            self->scrollable < 0    ? ""
                            : self->scrollable == 0 ? "NO SCROLL "
                                                    : "SCROLL ",
                            self->withhold ? "WITH" : "WITHOUT", PyBytes_AS_STRING(query));
}

bool require_valid(const CursorObject* self) {
  if (self->mark == self->connection->mark || self->withhold) return true;
  PyErr_SetString(exceptions.programming_error, "named cursor isn't valid anymore");
  return false;
}

bool fetch_forward(CursorObject* self, long count) {
  if (!require_valid(self) || !require_no_async_query(self, "fetch") ||
      !require_unprepared(self->connection, "fetch")) {
    return false;
  }
  return execute_own(
      self, count < 0 ? PyBytes_FromFormat("FETCH FORWARD ALL FROM %s", self->quoted_name)
                      : PyBytes_FromFormat("FETCH FORWARD %ld FROM %s", count, self->quoted_name));
}

bool move(CursorObject* self, bool is_absolute, long count) {
  if (!require_valid(self) || !require_no_async_query(self, "scroll") ||
      !require_unprepared(self->connection, "scroll")) {
    return false;
  }
  return execute_own(self, PyBytes_FromFormat("MOVE %s%ld FROM %s", is_absolute ? "ABSOLUTE " : "",
                                              count, self->quoted_name));
}

bool close_named(CursorObject* self) {
  ConnectionObject* connection = self->connection;
  if (connection->closed != 0 || connection->session == nullptr) return true;
  const PGTransactionStatusType status = connection->session->transaction_status();
  if (status == PQTRANS_UNKNOWN || status == PQTRANS_INERROR) return true;
  if (self->mark != connection->mark && !self->withhold) return true;
  if (!require_no_async_query(self, "close_named") ||
      !require_unprepared(connection, "close_named")) {
    return false;
  }
  if (!self->named_executed) {
    bool found = false;
    if (!exists(self, &found)) return false;
    if (!found) return true;
  }
  return execute_own(self, PyBytes_FromFormat("CLOSE %s", self->quoted_name));
}

}  // namespace psycoev::types
