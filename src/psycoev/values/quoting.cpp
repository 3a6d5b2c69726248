#include "values/quoting.h"

#include "cursor.h"
#include "values/adapt.h"
#include "values/encoding.h"
#include "values/error.h"
#include "values/literals.h"

namespace psycoev::values {
namespace {

// bytes of str or bytes; a new reference.
Ref to_bytes(PyObject* text, ConnectionObject* connection) {
  if (PyUnicode_Check(text)) return Ref(encode(text, connection));
  if (PyBytes_Check(text)) return Ref::borrowed(text);
  PyErr_Format(PyExc_TypeError, "Expected bytes or unicode string, got %s instead",
               Py_TYPE(text)->tp_name);
  return Ref();
}

PyObject* quote_ident(PyObject*, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"ident", "scope", nullptr};
  PyObject* identifier;
  PyObject* scope;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO", const_cast<char**>(names), &identifier,
                                   &scope)) {
    return nullptr;
  }
  ConnectionObject* connection;
  if (PyObject_TypeCheck(scope, cursor_type)) {
    connection = as_cursor(scope)->connection;
  } else if (is_connection(scope)) {
    connection = as_connection(scope);
  } else {
    PyErr_SetString(PyExc_TypeError, "argument 2 must be a connection or a cursor");
    return nullptr;
  }
  const Ref bytes = to_bytes(identifier, connection);
  if (!bytes) return nullptr;
  const Ref quoted(
      quote_identifier(PyBytes_AS_STRING(bytes.get()), PyBytes_GET_SIZE(bytes.get()), connection));
  if (!quoted) return nullptr;
  return decode(PyBytes_AS_STRING(quoted.get()), PyBytes_GET_SIZE(quoted.get()), connection);
}

PyMethodDef functions[] = {
    {"quote_ident", method(quote_ident), METH_VARARGS | METH_KEYWORDS,
     "quote_ident(ident, scope) -> str\n\n"
     "*ident* as an SQL identifier, by the encoding of *scope*, a connection or a cursor\n"
     "(libpq, PQescapeIdentifier).\n\nSwitches: never."},
    {nullptr}};

}  // namespace

bool add_quoting(PyObject* module) { return PyModule_AddFunctions(module, functions) == 0; }

PyObject* quote_literal(const char* text, Py_ssize_t size, ConnectionObject* connection) {
  Buffer out;
  if (!write_quoted(text, static_cast<size_t>(size), connection, out)) return nullptr;
  return out.to_bytes();
}

PyObject* quote_identifier(const char* text, Py_ssize_t size, ConnectionObject* connection) {
  if (connection == nullptr || connection->pg == nullptr) {
    return raise(exceptions.interface_error, nullptr, "connection already closed");
  }
  const LibpqText quoted(PQescapeIdentifier(connection->pg, text, static_cast<size_t>(size)));
  if (!quoted) {
    raise_from_connection(connection, nullptr, "the identifier cannot be quoted");
    return nullptr;
  }
  return PyBytes_FromString(quoted.get());
}

}  // namespace psycoev::values
