#include "types/checks.h"

#include "commands/failure.h"
#include "commands/transaction.h"
#include "values/error.h"

namespace psycoev::types {

using values::exceptions;

bool require_sync(const ConnectionObject* connection, const char* name) {
  if (!connection->is_async) return true;
  PyErr_Format(exceptions.programming_error, "%s cannot be used in asynchronous mode", name);
  return false;
}

bool require_no_transaction(const ConnectionObject* connection, const char* name) {
  if (connection->xid == nullptr && !commands::is_in_transaction(connection)) return true;
  PyErr_Format(exceptions.programming_error, "%s cannot be used inside a transaction", name);
  return false;
}

bool require_no_xid(const ConnectionObject* connection, const char* name) {
  if (connection->xid == nullptr) return true;
  PyErr_Format(exceptions.programming_error, "%s cannot be used during a two-phase transaction",
               name);
  return false;
}

bool require_unprepared(const ConnectionObject* connection, const char* name) {
  if (!connection->xid_prepared) return true;
  PyErr_Format(exceptions.programming_error,
               "%s cannot be used with a prepared two-phase transaction", name);
  return false;
}

bool require_connected(const ConnectionObject* connection) {
  if (!commands::require_open(connection)) return false;
  if (!connection->connecting) return true;
  PyErr_SetString(exceptions.operational_error, "asynchronous connection attempt underway");
  return false;
}

bool require_open_cursor(const CursorObject* cursor) {
  if (cursor->connection == nullptr) {
    PyErr_SetString(exceptions.interface_error, "the cursor has no connection");
    return false;
  }
  if (!cursor->closed && cursor->connection->closed == 0) {
    return commands::require_open(cursor->connection);
  }
  PyErr_SetString(exceptions.interface_error,
                  cursor->closed ? "cursor already closed" : "connection already closed");
  return false;
}

bool require_no_async_query(const CursorObject* cursor, const char* name) {
  if (cursor->connection->async_cursor == nullptr) return true;
  PyErr_Format(exceptions.programming_error,
               "%s cannot be used while an asynchronous query is underway", name);
  return false;
}

}  // namespace psycoev::types
