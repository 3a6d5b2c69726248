#include "values/error.h"

#include <cstring>

#include "values/encoding.h"
#include "values/error_type.h"
#include "values/sqlstates.h"

namespace psycoev::values {

Exceptions exceptions;

namespace {

struct Branch {
  const char* module_name;
  const char* full_name;
  const char* doc;
  PyObject* Exceptions::*parent;
  PyObject* Exceptions::*place;
};

// PEP 249, "Exceptions"; a parent stands before its children.
constexpr Branch kTree[] = {
    {"InterfaceError", "psycoev.InterfaceError", "Error related to the database interface.",
     &Exceptions::error, &Exceptions::interface_error},
    {"DatabaseError", "psycoev.DatabaseError", "Error related to the database engine.",
     &Exceptions::error, &Exceptions::database_error},
    {"InternalError", "psycoev.InternalError", "The database encountered an internal error.",
     &Exceptions::database_error, &Exceptions::internal_error},
    {"OperationalError", "psycoev.OperationalError",
     "Error related to database operation (disconnect, memory allocation etc).",
     &Exceptions::database_error, &Exceptions::operational_error},
    {"ProgrammingError", "psycoev.ProgrammingError",
     "Error related to database programming (SQL error, table not found etc).",
     &Exceptions::database_error, &Exceptions::programming_error},
    {"IntegrityError", "psycoev.IntegrityError", "Error related to database integrity.",
     &Exceptions::database_error, &Exceptions::integrity_error},
    {"DataError", "psycoev.DataError", "Error related to problems with the processed data.",
     &Exceptions::database_error, &Exceptions::data_error},
    {"NotSupportedError", "psycoev.NotSupportedError",
     "A method or database API was used which is not supported by the database.",
     &Exceptions::database_error, &Exceptions::not_supported_error},
    {"QueryCanceledError", "psycoev.extensions.QueryCanceledError",
     "Error related to SQL query cancellation.", &Exceptions::operational_error,
     &Exceptions::query_canceled},
    {"TransactionRollbackError", "psycoev.extensions.TransactionRollbackError",
     "Error causing transaction rollback (deadlocks, serialization failures, etc).",
     &Exceptions::operational_error, &Exceptions::transaction_rollback},
};

// The message without "ERROR:  ", "FATAL:  " or "PANIC:  ".
const char* without_severity(const char* message) {
  for (const char* severity : {"ERROR:  ", "FATAL:  ", "PANIC:  "}) {
    if (std::strncmp(message, severity, 8) == 0) return message + 8;
  }
  return message;
}

PyObject* lenient(const char* text, const ConnectionObject* connection) {
  return decode_leniently(text, static_cast<Py_ssize_t>(std::strlen(text)), connection);
}

// Sets type(message); gives the exception, borrowed from the thread state's, if it is of ours.
ErrorObject* set(PyObject* type, PyObject* message, CursorObject* cursor) {
  const Ref text(message);
  if (!text) return nullptr;
  const Ref error(PyObject_CallOneArg(type, text.get()));
  if (!error) return nullptr;
  PyErr_SetObject(type, error.get());
  const int is_ours = PyObject_IsInstance(error.get(), exceptions.error);
  if (is_ours <= 0) return nullptr;
  auto* object = reinterpret_cast<ErrorObject*>(error.get());
  if (cursor != nullptr) {
    Py_XSETREF(object->cursor, Py_NewRef(reinterpret_cast<PyObject*>(cursor)));
  }
  return object;
}

// The connection is gone: the words by which programs recognise that follow the cause.
bool is_broken(const ConnectionObject* connection) {
  return connection != nullptr &&
         (connection->closed == 2 ||
          (connection->pg != nullptr && PQstatus(connection->pg) == CONNECTION_BAD));
}

}  // namespace

bool add_errors(PyObject* module) {
  Exceptions& e = exceptions;
  e.warning = PyErr_NewExceptionWithDoc("psycoev.Warning", "A database warning.", nullptr, nullptr);
  e.error = make_error_type();
  if (e.warning == nullptr || e.error == nullptr ||
      PyModule_AddObjectRef(module, "Warning", e.warning) < 0 ||
      PyModule_AddObjectRef(module, "Error", e.error) < 0) {
    return false;
  }
  for (const Branch& branch : kTree) {
    PyObject* type =
        PyErr_NewExceptionWithDoc(branch.full_name, branch.doc, e.*branch.parent, nullptr);
    e.*branch.place = type;
    if (type == nullptr || PyModule_AddObjectRef(module, branch.module_name, type) < 0) {
      return false;
    }
  }
  return add_sqlstates(module) && add_diagnostics(module);
}

PyObject* raise(PyObject* type, CursorObject* cursor, const char* message) {
  const ConnectionObject* connection = cursor == nullptr ? nullptr : cursor->connection;
  set(type, lenient(message, connection), cursor);
  return nullptr;
}

void reclassify(PyObject* type) {
  PyObject* old_type;
  PyObject* value;
  PyObject* traceback;
  PyErr_Fetch(&old_type, &value, &traceback);
  PyErr_NormalizeException(&old_type, &value, &traceback);
  const Ref owners[] = {Ref(old_type), Ref(value), Ref(traceback)};
  const auto* from = reinterpret_cast<ErrorObject*>(value);
  const Ref changed(PyObject_Call(type, from->base.args, nullptr));
  if (!changed) return;
  auto* to = reinterpret_cast<ErrorObject*>(changed.get());
  Py_XSETREF(to->pgerror, Py_XNewRef(from->pgerror));
  Py_XSETREF(to->pgcode, Py_XNewRef(from->pgcode));
  Py_XSETREF(to->cursor, Py_XNewRef(from->cursor));
  std::swap(to->result, reinterpret_cast<ErrorObject*>(value)->result);
  std::swap(to->codec, reinterpret_cast<ErrorObject*>(value)->codec);
  PyErr_SetObject(type, changed.get());
}

void raise_from_connection(ConnectionObject* connection, CursorObject* cursor,
                           const char* fallback) {
  const char* message =
      connection != nullptr && connection->pg != nullptr ? PQerrorMessage(connection->pg) : "";
  if (*message == 0) message = fallback;
  const Ref pgerror(lenient(message, connection));
  if (!pgerror) return;
  ErrorObject* error =
      set(exceptions.operational_error, lenient(without_severity(message), connection), cursor);
  if (error != nullptr) Py_XSETREF(error->pgerror, Py_NewRef(pgerror.get()));
}

void raise_from_result(ConnectionObject* connection, CursorObject* cursor, PGresult* result) {
  ResultPtr owned(result);
  const char* message = PQresultErrorMessage(result);
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (*message == 0) {
    message =
        connection != nullptr && connection->pg != nullptr ? PQerrorMessage(connection->pg) : "";
  }
  char none[96];
  if (*message == 0) {
    PyOS_snprintf(none, sizeof none, "error with status %s and no message from the libpq",
                  PQresStatus(PQresultStatus(result)));
    message = none;
  }
  PyObject* type;
  if (sqlstate != nullptr) {
    type = exception_of_sqlstate(sqlstate);
  } else {
    type = is_broken(connection) ? exceptions.operational_error : exceptions.database_error;
  }
  const Ref pgerror(lenient(message, connection));
  const Ref pgcode(sqlstate == nullptr ? Py_NewRef(Py_None) : lenient(sqlstate, connection));
  if (!pgerror || !pgcode) return;
  ErrorObject* error = set(type, lenient(without_severity(message), connection), cursor);
  if (error == nullptr) return;
  Py_XSETREF(error->pgerror, Py_NewRef(pgerror.get()));
  if (sqlstate != nullptr) Py_XSETREF(error->pgcode, Py_NewRef(pgcode.get()));
  PQclear(std::exchange(error->result, owned.release()));
  if (connection != nullptr) {
    Codec old = std::exchange(error->codec, codec_copy(connection->codec));
    codec_clear(old);
  }
}

}  // namespace psycoev::values
