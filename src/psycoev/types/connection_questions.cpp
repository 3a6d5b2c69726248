// What a connection says of itself and of its server: methods of connection, and ConnectionInfo.
#include <cstring>

#include "commands/failure.h"
#include "types/checks.h"
#include "types/connection_type.h"
#include "values/error.h"

namespace psycoev::types {

PyTypeObject* connection_info_type;

namespace {

constexpr char kNativeCapsule[] = "psycopg2.connection.native_connection";

PyObject* text_or_none(const char* text) {
  return text == nullptr ? Py_NewRef(Py_None) : PyUnicode_DecodeFSDefault(text);
}

// A dict of the options that were used, without the password.
PyObject* dsn_parameters(PGconn* pg) {
  const ConninfoPtr options(PQconninfo(pg));
  if (options == nullptr) return PyErr_NoMemory();
  Ref dict(PyDict_New());
  if (!dict) return nullptr;
  for (const PQconninfoOption* o = options.get(); o->keyword != nullptr; ++o) {
    if (o->val == nullptr || std::strcmp(o->keyword, "password") == 0) continue;
    const Ref value(PyUnicode_DecodeFSDefault(o->val));
    if (!value || PyDict_SetItemString(dict.get(), o->keyword, value.get()) < 0) return nullptr;
  }
  return dict.release();
}

// ---- methods of connection ----

PyObject* get_backend_pid(PyObject* object, PyObject*) {
  const ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self)) return nullptr;
  return PyLong_FromLong(PQbackendPID(self->pg));
}

PyObject* get_dsn_parameters(PyObject* object, PyObject*) {
  const ConnectionObject* self = as_connection(object);
  return commands::require_open(self) ? dsn_parameters(self->pg) : nullptr;
}

PyObject* get_parameter_status(PyObject* object, PyObject* args) {
  const ConnectionObject* self = as_connection(object);
  const char* name = nullptr;
  if (!commands::require_open(self) || !PyArg_ParseTuple(args, "s:get_parameter_status", &name)) {
    return nullptr;
  }
  return text_or_none(PQparameterStatus(self->pg, name));
}

PyObject* get_transaction_status(PyObject* object, PyObject*) {
  const ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self)) return nullptr;
  return PyLong_FromLong(PQtransactionStatus(self->pg));
}

PyObject* get_native_connection(PyObject* object, PyObject*) {
  const ConnectionObject* self = as_connection(object);
  return commands::require_open(self) ? PyCapsule_New(self->pg, kNativeCapsule, nullptr) : nullptr;
}

// ---- ConnectionInfo ----

struct InfoObject {
  PyObject ob_base;
  ConnectionObject* connection;  // owned
};

// Null when closed: libpq's functions answer for that, too.
PGconn* pg_of(PyObject* object) { return reinterpret_cast<InfoObject*>(object)->connection->pg; }

int info_init(PyObject* object, PyObject* args, PyObject*) {
  auto* self = reinterpret_cast<InfoObject*>(object);
  PyObject* connection = nullptr;
  if (!PyArg_ParseTuple(args, "O:ConnectionInfo", &connection)) return -1;
  if (!is_connection(connection)) {
    PyErr_SetString(PyExc_TypeError,
                    "The argument must be a psycoev.extensions.connection instance");
    return -1;
  }
  Py_XSETREF(self->connection, as_connection(Py_NewRef(connection)));
  return 0;
}

PyObject* info_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr || info_init(object, args, kwargs) == 0) return object;
  Py_DECREF(object);
  return nullptr;
}

void info_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  Py_XDECREF(reinterpret_cast<PyObject*>(reinterpret_cast<InfoObject*>(object)->connection));
  type->tp_free(object);
  Py_DECREF(type);
}

using TextFunction = char* (*)(const PGconn*);
using NumberFunction = int (*)(const PGconn*);

template <TextFunction function>
PyObject* text_of(PyObject* object, void*) {
  return text_or_none(function(pg_of(object)));
}

template <NumberFunction function>
PyObject* number_of(PyObject* object, void*) {
  return PyLong_FromLong(function(pg_of(object)));
}

template <NumberFunction function>
PyObject* truth_of(PyObject* object, void*) {
  return PyBool_FromLong(function(pg_of(object)));
}

PyObject* info_host(PyObject* object, void*) {
  const char* host = PQhost(pg_of(object));
  return host == nullptr || *host == '\0' ? Py_NewRef(Py_None) : PyUnicode_DecodeFSDefault(host);
}

PyObject* info_port(PyObject* object, void*) {
  const char* port = PQport(pg_of(object));
  if (port == nullptr || *port == '\0') Py_RETURN_NONE;
  return PyLong_FromString(port, nullptr, 10);
}

PyObject* info_dsn_parameters(PyObject* object, void*) {
  const ConnectionObject* connection = reinterpret_cast<InfoObject*>(object)->connection;
  return commands::require_open(connection) ? dsn_parameters(connection->pg) : nullptr;
}

PyObject* info_status(PyObject* object, void*) { return PyLong_FromLong(PQstatus(pg_of(object))); }

PyObject* info_transaction_status(PyObject* object, void*) {
  return PyLong_FromLong(PQtransactionStatus(pg_of(object)));
}

PyObject* info_error_message(PyObject* object, void*) {
  const char* message = PQerrorMessage(pg_of(object));
  return message == nullptr || *message == '\0' ? Py_NewRef(Py_None)
                                                : PyUnicode_DecodeFSDefault(message);
}

PyObject* info_ssl_in_use(PyObject* object, void*) {
  PGconn* pg = pg_of(object);
  return PyBool_FromLong(pg != nullptr && PQsslInUse(pg) != 0);
}

PyObject* info_ssl_attribute_names(PyObject* object, void*) {
  Ref list(PyList_New(0));
  PGconn* pg = pg_of(object);
  const char* const* names = pg != nullptr ? PQsslAttributeNames(pg) : nullptr;
  for (; list && names != nullptr && *names != nullptr; ++names) {
    const Ref name(PyUnicode_FromString(*names));
    if (!name || PyList_Append(list.get(), name.get()) < 0) return nullptr;
  }
  return list.release();
}

PyObject* info_parameter_status(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"name", nullptr};
  const char* name = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:parameter_status", const_cast<char**>(names),
                                   &name)) {
    return nullptr;
  }
  return text_or_none(PQparameterStatus(pg_of(object), name));
}

PyObject* info_ssl_attribute(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"name", nullptr};
  const char* name = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:ssl_attribute", const_cast<char**>(names),
                                   &name)) {
    return nullptr;
  }
  PGconn* pg = pg_of(object);
  return text_or_none(pg != nullptr ? PQsslAttribute(pg, name) : nullptr);
}

PyMethodDef kInfoMethods[] = {
    {"parameter_status", method(info_parameter_status), METH_VARARGS | METH_KEYWORDS,
     "parameter_status(name) -> the server's setting, or None\n\nSwitches: never."},
    {"ssl_attribute", method(info_ssl_attribute), METH_VARARGS | METH_KEYWORDS,
     "ssl_attribute(name) -> of the connection's TLS, or None\n\nSwitches: never."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kInfoAttributes[] = {
    {"dbname", text_of<PQdb>, nullptr, "The database.", nullptr},
    {"user", text_of<PQuser>, nullptr, "The user.", nullptr},
    {"password", text_of<PQpass>, nullptr, "The password.", nullptr},
    {"host", info_host, nullptr, "The host, or the folder of the socket.", nullptr},
    {"port", info_port, nullptr, "The port.", nullptr},
    {"options", text_of<PQoptions>, nullptr, "The command line options passed.", nullptr},
    {"dsn_parameters", info_dsn_parameters, nullptr, "A dict, without the password.", nullptr},
    {"status", info_status, nullptr, "libpq's ConnStatusType.", nullptr},
    {"transaction_status", info_transaction_status, nullptr, "extensions.TRANSACTION_STATUS_*.",
     nullptr},
    {"protocol_version", number_of<PQprotocolVersion>, nullptr, "Of the protocol.", nullptr},
    {"server_version", number_of<PQserverVersion>, nullptr, "As 150004 for 15.4.", nullptr},
    {"error_message", info_error_message, nullptr, "The last error's, or None.", nullptr},
    {"socket", number_of<PQsocket>, nullptr, "The file descriptor; -1 if closed.", nullptr},
    {"backend_pid", number_of<PQbackendPID>, nullptr, "The server's process.", nullptr},
    {"needs_password", truth_of<PQconnectionNeedsPassword>, nullptr,
     "Whether a password was asked for and none was there.", nullptr},
    {"used_password", truth_of<PQconnectionUsedPassword>, nullptr, "Whether one was used.",
     nullptr},
    {"ssl_in_use", info_ssl_in_use, nullptr, "Whether it is encrypted by TLS.", nullptr},
    {"ssl_attribute_names", info_ssl_attribute_names, nullptr, "What ssl_attribute() knows.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

}  // namespace

PyMethodDef kQuestionMethods[] = {
    {"get_backend_pid", get_backend_pid, METH_NOARGS, "get_backend_pid() -> the server's process"},
    {"get_dsn_parameters", get_dsn_parameters, METH_NOARGS,
     "get_dsn_parameters() -> a dict, without the password"},
    {"get_parameter_status", get_parameter_status, METH_VARARGS,
     "get_parameter_status(parameter) -> the server's setting, or None"},
    {"get_transaction_status", get_transaction_status, METH_NOARGS,
     "get_transaction_status() -> extensions.TRANSACTION_STATUS_*"},
    {"get_native_connection", get_native_connection, METH_NOARGS,
     "get_native_connection() -> a capsule with the PGconn*"},
    {nullptr, nullptr, 0, nullptr}};

bool add_connection_info(PyObject* module) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("ConnectionInfo(conn): what is known of a connection.")},
      {Py_tp_new, reinterpret_cast<void*>(info_new)},
      {Py_tp_dealloc, reinterpret_cast<void*>(info_dealloc)},
      {Py_tp_methods, kInfoMethods},
      {Py_tp_getset, kInfoAttributes},
      {0, nullptr}};
  static PyType_Spec spec = {"psycoev.extensions.ConnectionInfo", sizeof(InfoObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  connection_info_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return connection_info_type != nullptr &&
         PyModule_AddObjectRef(module, "ConnectionInfo",
                               reinterpret_cast<PyObject*>(connection_info_type)) == 0;
}

}  // namespace psycoev::types
