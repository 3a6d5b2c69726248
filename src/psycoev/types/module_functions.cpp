#include "types/module_functions.h"

#include <cstring>

#include "commands/failure.h"
#include "commands/polling.h"
#include "commands/run.h"
#include "commands/turn.h"
#include "types/checks.h"
#include "types/connection_type.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::types {

using values::exceptions;

namespace {

PyObject* connect(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dsn", "connection_factory", "async", "async_", nullptr};
  const char* dsn = nullptr;
  PyObject* factory = Py_None;
  int is_async = 0;
  int is_async_too = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|Opp:_connect", const_cast<char**>(names), &dsn,
                                   &factory, &is_async, &is_async_too)) {
    return nullptr;
  }
  if (factory == Py_None) factory = reinterpret_cast<PyObject*>(connection_type);
  // A factory of the program need not know of asynchronous connections.
  if (is_async == 0 && is_async_too == 0) return PyObject_CallFunction(factory, "s", dsn);
  return PyObject_CallFunction(factory, "si", dsn, 1);
}

PyObject* parse_dsn(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dsn", nullptr};
  const char* dsn = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:parse_dsn", const_cast<char**>(names), &dsn)) {
    return nullptr;
  }
  char* message = nullptr;
  const ConninfoPtr options(PQconninfoParse(dsn, &message));
  const LibpqText owned(message);
  if (options == nullptr) {
    PyErr_Format(exceptions.programming_error, "invalid dsn: %s",
                 message != nullptr ? message : "out of memory");
    return nullptr;
  }
  Ref dict(PyDict_New());
  if (!dict) return nullptr;
  for (const PQconninfoOption* o = options.get(); o->keyword != nullptr; ++o) {
    if (o->val == nullptr) continue;
    const Ref value(PyUnicode_DecodeFSDefault(o->val));
    if (!value || PyDict_SetItemString(dict.get(), o->keyword, value.get()) < 0) return nullptr;
  }
  return dict.release();
}

// ---- encrypt_password ----

// The server's password_encryption; libpq would ask for it in a query of its own, and block.
bool ask_algorithm(ConnectionObject* connection, char* algorithm, std::size_t size) {
  const std::int64_t deadline = commands::statement_deadline(connection);
  const commands::Turn turn(connection, deadline);
  ResultPtr result;
  if (!turn ||
      !commands::run_checked(connection, nullptr, "SHOW password_encryption", deadline, &result)) {
    return false;
  }
  const char* value = PQgetvalue(result.get(), 0, 0);
  const bool is_old = std::strcmp(value, "on") == 0 || std::strcmp(value, "off") == 0;
  PyOS_snprintf(algorithm, size, "%s", is_old ? "md5" : value);
  return true;
}

PyObject* encrypted(PGconn* pg, const char* password, const char* user, const char* algorithm) {
  if (std::strcmp(algorithm, "md5") == 0) {
    const LibpqText text(PQencryptPassword(password, user));
    return text == nullptr ? PyErr_NoMemory() : PyUnicode_FromString(text.get());
  }
  if (pg == nullptr) {
    PyErr_SetString(exceptions.programming_error,
                    "password encryption (other than 'md5' algorithm) requires a connection or "
                    "cursor");
    return nullptr;
  }
  const LibpqText text(PQencryptPasswordConn(pg, password, user, algorithm));
  if (text != nullptr) return PyUnicode_FromString(text.get());
  if (std::strstr(PQerrorMessage(pg), "unrecognized password encryption") != nullptr) {
    PyErr_SetString(exceptions.programming_error, PQerrorMessage(pg));
  } else {
    PyErr_SetString(exceptions.operational_error, PQerrorMessage(pg));
  }
  return nullptr;
}

PyObject* encrypt_password(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"password", "user", "scope", "algorithm", nullptr};
  const char* password = nullptr;
  const char* user = nullptr;
  PyObject* scope = Py_None;
  const char* algorithm = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ss|Oz:encrypt_password",
                                   const_cast<char**>(names), &password, &user, &scope,
                                   &algorithm)) {
    return nullptr;
  }
  ConnectionObject* connection = nullptr;
  if (PyObject_TypeCheck(scope, cursor_type)) {
    connection = as_cursor(scope)->connection;
  } else if (is_connection(scope)) {
    connection = as_connection(scope);
  } else if (scope != Py_None) {
    PyErr_SetString(PyExc_TypeError, "the scope must be a connection or a cursor");
    return nullptr;
  }
  char asked[64] = "md5";
  if (algorithm == nullptr) {
    if (connection != nullptr && !commands::require_open(connection)) return nullptr;
    if (connection != nullptr && (!require_sync(connection, "encrypt_password") ||
                                  !ask_algorithm(connection, asked, sizeof asked))) {
      return nullptr;
    }
    algorithm = asked;
  }
  return encrypted(connection != nullptr ? connection->pg : nullptr, password, user, algorithm);
}

PyObject* libpq_version(PyObject*, PyObject*) { return PyLong_FromLong(PQlibVersion()); }

// ---- the wait callback ----

PyObject* set_wait_callback(PyObject*, PyObject* callback) {
  if (callback == Py_None) {
    Py_CLEAR(commands::wait_callback);
  } else {
    Py_XSETREF(commands::wait_callback, Py_NewRef(callback));
  }
  Py_RETURN_NONE;
}

PyObject* get_wait_callback(PyObject*, PyObject*) {
  return Py_NewRef(commands::wait_callback != nullptr ? commands::wait_callback : Py_None);
}

}  // namespace

PyMethodDef kModuleFunctions[] = {
    {"_connect", method(connect), METH_VARARGS | METH_KEYWORDS,
     "_connect(dsn, connection_factory=None, async_=False) -> a new connection\n\nSwitches: "
     "always."},
    {"parse_dsn", method(parse_dsn), METH_VARARGS | METH_KEYWORDS,
     "parse_dsn(dsn) -> a dict of what a connection string says\n\nSwitches: never."},
    {"encrypt_password", method(encrypt_password), METH_VARARGS | METH_KEYWORDS,
     "encrypt_password(password, user, scope=None, algorithm=None) -> what ALTER USER takes\n\n"
     "Switches: only if no algorithm is given and there is a scope to ask for it."},
    {"libpq_version", libpq_version, METH_NOARGS, "libpq_version() -> as 150004 for 15.4"},
    {"set_wait_callback", set_wait_callback, METH_O,
     "set_wait_callback(f) -- f(conn) waits in the place of coev; None: no callback"},
    {"get_wait_callback", get_wait_callback, METH_NOARGS,
     "get_wait_callback() -> what set_wait_callback() was given"},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace psycoev::types
