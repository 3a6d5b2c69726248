// The type connection: its life, its cursors, and the plain methods.
#include "types/connection_type.h"

#include <cstddef>
#include <cstring>
#include <vector>

#include "commands/failure.h"
#include "commands/polling.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "members.h"
#include "objects/objects.h"
#include "types/async_query.h"
#include "types/checks.h"
#include "types/cursor_type.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev {

PyTypeObject* connection_type;

namespace types {

using values::exceptions;

namespace {

// ---- life ----

PyObject* connection_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  ConnectionObject* self = as_connection(object);
  self->isolation_level = commands::kIsolationDefault;
  self->readonly = self->deferrable = commands::kSettingDefault;
  self->timeout = -1;
  self->encoding_id = -1;
  self->cursor_factory = Py_NewRef(Py_None);
  self->string_types = PyDict_New();
  self->binary_types = PyDict_New();
  if (self->string_types != nullptr && self->binary_types != nullptr) return object;
  Py_DECREF(object);
  return nullptr;
}

int connection_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"dsn", "async", "async_", nullptr};
  const char* dsn = nullptr;
  int is_async = 0;
  int is_async_too = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|pp:connection", const_cast<char**>(names), &dsn,
                                   &is_async, &is_async_too)) {
    return -1;
  }
  const bool opened =
      connection_open(as_connection(object), dsn, is_async != 0 || is_async_too != 0, nullptr);
  return opened ? 0 : -1;
}

int connection_traverse(PyObject* object, visitproc visit, void* arg) {
  ConnectionObject* self = as_connection(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->cursor_factory);
  Py_VISIT(self->string_types);
  Py_VISIT(self->binary_types);
  Py_VISIT(self->notices);
  Py_VISIT(self->notifies);
  Py_VISIT(self->xid);
  Py_VISIT(self->async_cursor);
  return 0;
}

int connection_clear(PyObject* object) {
  ConnectionObject* self = as_connection(object);
  Py_CLEAR(self->cursor_factory);
  Py_CLEAR(self->string_types);
  Py_CLEAR(self->binary_types);
  Py_CLEAR(self->notices);
  Py_CLEAR(self->notifies);
  Py_CLEAR(self->xid);
  Py_CLEAR(self->async_cursor);
  return 0;
}

void connection_dealloc(PyObject* object) {
  ConnectionObject* self = as_connection(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  connection_clear(object);
  PQclear(self->polled_result);
  delete self->session;
  values::codec_clear(self->codec);
  Py_CLEAR(self->encoding);
  Py_CLEAR(self->dsn);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* connection_repr(PyObject* object) {
  const ConnectionObject* self = as_connection(object);
  return PyUnicode_FromFormat("<connection object at %p; dsn: '%V', closed: %ld>", object,
                              self->dsn, "<unintialized>", self->closed);
}

// ---- cursors ----

bool check_cursor_options(ConnectionObject* self, PyObject* name) {
  if (!require_connected(self)) return false;
  if (name == Py_None) return true;
  if (self->is_async) {
    PyErr_SetString(exceptions.programming_error,
                    "asynchronous connections cannot produce named cursors");
    return false;
  }
  return require_unprepared(self, "cursor");
}

PyObject* connection_cursor(PyObject* object, PyObject* args, PyObject* kwargs) {
  ConnectionObject* self = as_connection(object);
  static const char* names[] = {"name", "cursor_factory", "scrollable", "withhold", nullptr};
  PyObject* name = Py_None;
  PyObject* factory = Py_None;
  PyObject* scrollable = Py_None;
  PyObject* withhold = Py_False;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOO:cursor", const_cast<char**>(names), &name,
                                   &factory, &scrollable, &withhold)) {
    return nullptr;
  }
  if (!check_cursor_options(self, name)) return nullptr;
  if (factory == Py_None) factory = self->cursor_factory;
  const bool is_plain = factory == nullptr || factory == Py_None;
  const Ref callable = Ref::borrowed(is_plain ? reinterpret_cast<PyObject*>(cursor_type) : factory);
  Ref cursor(PyObject_CallFunctionObjArgs(callable.get(), object, name, nullptr));
  if (!cursor) return nullptr;
  if (!PyObject_TypeCheck(cursor.get(), cursor_type)) {
    PyErr_SetString(PyExc_TypeError,
                    "cursor factory must be subclass of psycoev.extensions.cursor");
    return nullptr;
  }
  if (withhold != Py_False && !cursor_set_withhold(as_cursor(cursor.get()), withhold)) {
    return nullptr;
  }
  if (scrollable != Py_None && !cursor_set_scrollable(as_cursor(cursor.get()), scrollable)) {
    return nullptr;
  }
  return cursor.release();
}

PyObject* connection_lobject(PyObject* object, PyObject* args, PyObject* kwargs) {
  ConnectionObject* self = as_connection(object);
  static const char* names[] = {"oid", "mode", "new_oid", "new_file", "lobject_factory", nullptr};
  PyObject* oid = nullptr;
  PyObject* mode = nullptr;
  PyObject* new_oid = nullptr;
  PyObject* new_file = nullptr;
  PyObject* factory = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOOO:lobject", const_cast<char**>(names), &oid,
                                   &mode, &new_oid, &new_file, &factory)) {
    return nullptr;
  }
  if (!require_connected(self) || !require_sync(self, "lobject") ||
      !require_unprepared(self, "lobject")) {
    return nullptr;
  }
  if (factory == Py_None) factory = reinterpret_cast<PyObject*>(objects::lobject_type);
  const Ref zero(PyLong_FromLong(0));
  const Ref empty(PyUnicode_FromString(""));
  if (!zero || !empty) return nullptr;
  const auto or_else = [](PyObject* given, const Ref& otherwise) {
    return given != nullptr && given != Py_None ? given : otherwise.get();
  };
  Ref large(PyObject_CallFunctionObjArgs(factory, object, or_else(oid, zero), or_else(mode, empty),
                                         or_else(new_oid, zero),
                                         new_file != nullptr ? new_file : Py_None, nullptr));
  if (!large) return nullptr;
  if (!PyObject_TypeCheck(large.get(), objects::lobject_type)) {
    PyErr_SetString(PyExc_TypeError,
                    "lobject factory must be subclass of psycoev.extensions.lobject");
    return nullptr;
  }
  return large.release();
}

// ---- the end of transactions and of the connection ----

PyObject* none_if(bool done) { return done ? Py_NewRef(Py_None) : nullptr; }

PyObject* connection_commit(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self) || !require_sync(self, "commit") ||
      !require_no_xid(self, "commit")) {
    return nullptr;
  }
  return none_if(commands::commit(self));
}

PyObject* connection_rollback(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self) || !require_sync(self, "rollback") ||
      !require_no_xid(self, "rollback")) {
    return nullptr;
  }
  return none_if(commands::rollback(self));
}

PyObject* connection_close(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (self->session != nullptr) self->session->close(1);
  self->closed = 1;
  Py_RETURN_NONE;
}

PyObject* connection_enter(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self) || !require_unprepared(self, "__enter__")) return nullptr;
  if (self->entered) {
    PyErr_SetString(exceptions.programming_error,
                    "the connection cannot be re-entered recursively");
    return nullptr;
  }
  self->entered = true;
  return Py_NewRef(object);
}

PyObject* connection_exit(PyObject* object, PyObject* args) {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* traceback = nullptr;
  if (!PyArg_ParseTuple(args, "OOO:__exit__", &type, &value, &traceback)) return nullptr;
  const Ref done(PyObject_CallMethod(object, type == Py_None ? "commit" : "rollback", nullptr));
  as_connection(object)->entered = false;
  return done ? Py_NewRef(Py_None) : nullptr;
}

PyObject* connection_cancel(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!require_connected(self) || !require_unprepared(self, "cancel")) return nullptr;
  char error[256];
  const session::Outcome outcome = self->session->cancel(commands::statement_deadline(self), error);
  if (outcome == session::Outcome::kDone) Py_RETURN_NONE;
  if (outcome == session::Outcome::kInterrupted) return nullptr;
  PyErr_SetString(exceptions.operational_error, *error != '\0' ? error : "timeout expired");
  return nullptr;
}

PyObject* connection_reset(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self) || !require_sync(self, "reset")) return nullptr;
  const std::int64_t deadline = commands::statement_deadline(self);
  const commands::Turn turn(self, deadline);
  if (!turn || !commands::rollback_in_turn(self, deadline) ||
      !commands::run_command(self, nullptr, "RESET ALL", deadline) ||
      !commands::run_command(self, nullptr, "SET SESSION AUTHORIZATION DEFAULT", deadline)) {
    return nullptr;
  }
  self->autocommit = false;
  self->isolation_level = commands::kIsolationDefault;
  self->readonly = self->deferrable = commands::kSettingDefault;
  Py_CLEAR(self->xid);
  self->xid_prepared = false;
  const char* style = PQparameterStatus(self->pg, "DateStyle");
  if (style != nullptr && std::strncmp(style, "ISO", 3) != 0 &&
      !commands::run_command(self, nullptr, "SET DATESTYLE TO 'ISO'", deadline)) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* connection_poll_method(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self)) return nullptr;
  const int answer = poll_and_finish(self);
  return answer < 0 ? nullptr : PyLong_FromLong(answer);
}

PyObject* connection_fileno(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self)) return nullptr;
  return PyLong_FromLong(PQsocket(self->pg));
}

PyObject* connection_is_executing(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self)) return nullptr;
  return PyBool_FromLong(self->is_async && (self->connecting || self->async_cursor != nullptr));
}

// ---- attributes ----

PyObject* get_status(PyObject* object, void*) {
  const ConnectionObject* self = as_connection(object);
  if (self->session == nullptr) return PyLong_FromLong(0);
  if (self->connecting) return PyLong_FromLong(20);
  if (self->xid_prepared) return PyLong_FromLong(5);
  const bool begun = self->xid != nullptr || commands::is_in_transaction(self);
  return PyLong_FromLong(begun ? 2 : 1);
}

PyObject* get_info(PyObject* object, void*) {
  return PyObject_CallOneArg(reinterpret_cast<PyObject*>(connection_info_type), object);
}

PyObject* get_pgconn_ptr(PyObject* object, void*) {
  PGconn* pg = as_connection(object)->pg;
  return pg == nullptr ? Py_NewRef(Py_None) : PyLong_FromVoidPtr(pg);
}

PyObject* get_exception(PyObject*, void* which) {
  return Py_NewRef(*static_cast<PyObject**>(which));
}

PyObject* get_timeout(PyObject* object, void*) {
  const double seconds = as_connection(object)->timeout;
  return seconds < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(seconds);
}

int set_timeout(PyObject* object, PyObject* value, void*) {
  double seconds = -1;
  if (!timeout_from(value, &seconds)) return -1;
  as_connection(object)->timeout = seconds;
  return 0;
}

PyMethodDef kMethods[] = {
    {"cursor", method(connection_cursor), METH_VARARGS | METH_KEYWORDS,
     "cursor(name=None, cursor_factory=None, scrollable=None, withhold=False) -> a new cursor\n\n"
     "Switches: never."},
    {"lobject", method(connection_lobject), METH_VARARGS | METH_KEYWORDS,
     "lobject(oid=0, mode=None, new_oid=0, new_file=None, lobject_factory=None) -> a large "
     "object\n\nSwitches: always."},
    {"commit", connection_commit, METH_NOARGS,
     "commit() -- commit what was done since the transaction began\n\nSwitches: only if one is "
     "open."},
    {"rollback", connection_rollback, METH_NOARGS,
     "rollback() -- undo what was done since the transaction began\n\nSwitches: only if one is "
     "open."},
    {"close", connection_close, METH_NOARGS,
     "close() -- close the connection; what another coroutine runs on it ends with an "
     "InterfaceError\n\nSwitches: never."},
    {"__enter__", connection_enter, METH_NOARGS, "__enter__() -> self"},
    {"__exit__", connection_exit, METH_VARARGS,
     "__exit__(type, value, traceback) -- commit, or roll back after an exception\n\n"
     "Switches: only if a transaction is open."},
    {"cancel", connection_cancel, METH_NOARGS,
     "cancel() -- ask the server to end the running statement\n\nSwitches: always."},
    {"reset", connection_reset, METH_NOARGS,
     "reset() -- roll back, and return all settings to their defaults\n\nSwitches: always."},
    {"poll", connection_poll_method, METH_NOARGS,
     "poll() -> POLL_OK, POLL_READ or POLL_WRITE: what an asynchronous connection waits for\n\n"
     "Switches: never."},
    {"fileno", connection_fileno, METH_NOARGS, "fileno() -> the file descriptor of the socket"},
    {"isexecuting", connection_is_executing, METH_NOARGS,
     "isexecuting() -> whether an asynchronous query is underway"},
    {nullptr, nullptr, 0, nullptr}};

#define EXCEPTION(name, field)                                         \
  {                                                                    \
    name, get_exception, nullptr, "The exception class of this name.", \
        static_cast<void*>(&values::exceptions.field)                  \
  }

PyGetSetDef kAttributes[] = {
    {"status", get_status, nullptr, "extensions.STATUS_*", nullptr},
    {"info", get_info, nullptr, "A ConnectionInfo of this connection.", nullptr},
    {"pgconn_ptr", get_pgconn_ptr, nullptr, "The address of the PGconn, or None.", nullptr},
    {"timeout", get_timeout, set_timeout,
     "Seconds that each statement may take; None is without limit. A later one is cancelled, and "
     "raises QueryCanceledError.",
     nullptr},
    EXCEPTION("Warning", warning),
    EXCEPTION("Error", error),
    EXCEPTION("InterfaceError", interface_error),
    EXCEPTION("DatabaseError", database_error),
    EXCEPTION("DataError", data_error),
    EXCEPTION("OperationalError", operational_error),
    EXCEPTION("IntegrityError", integrity_error),
    EXCEPTION("InternalError", internal_error),
    EXCEPTION("ProgrammingError", programming_error),
    EXCEPTION("NotSupportedError", not_supported_error),
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

#undef EXCEPTION

PyMemberDef kMembers[] = {
    {"closed", T_LONG, offsetof(ConnectionObject, closed), READONLY,
     "0: open; 1: closed by the program; 2: broken."},
    {"encoding", T_OBJECT, offsetof(ConnectionObject, encoding), READONLY,
     "PostgreSQL's name of the client's encoding."},
    {"notices", T_OBJECT, offsetof(ConnectionObject, notices), 0, "The last messages, a list."},
    {"notifies", T_OBJECT, offsetof(ConnectionObject, notifies), 0, "Notifications, a list."},
    {"dsn", T_OBJECT, offsetof(ConnectionObject, dsn), READONLY, "How it was connected."},
    {"async", T_BOOL, offsetof(ConnectionObject, is_async), READONLY, "Whether poll() drives it."},
    {"async_", T_BOOL, offsetof(ConnectionObject, is_async), READONLY, "Whether poll() drives it."},
    {"cursor_factory", T_OBJECT, offsetof(ConnectionObject, cursor_factory), 0,
     "What cursor() calls; None is extensions.cursor."},
    {"string_types", T_OBJECT, offsetof(ConnectionObject, string_types), READONLY,
     "Typecasters of this connection."},
    {"binary_types", T_OBJECT, offsetof(ConnectionObject, binary_types), READONLY,
     "Typecasters of binary values of this connection."},
    {"protocol_version", T_INT, offsetof(ConnectionObject, protocol_version), READONLY,
     "Of the frontend/backend protocol."},
    {"server_version", T_INT, offsetof(ConnectionObject, server_version), READONLY,
     "As 150004 for 15.4."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ConnectionObject, weak_references), READONLY,
     nullptr},
    {nullptr, 0, 0, 0, nullptr}};

const char* name_of(const PyMethodDef& definition) { return definition.ml_name; }
const char* name_of(const PyGetSetDef& definition) { return definition.name; }

template <typename Definition>
std::vector<Definition> joined(std::initializer_list<const Definition*> tables) {
  std::vector<Definition> all;
  for (const Definition* entry : tables) {
    for (; name_of(*entry) != nullptr; ++entry) all.push_back(*entry);
  }
  all.push_back(Definition{});
  return all;
}

}  // namespace

bool add_connection(PyObject* module) {
  // CPython keeps pointers into both.
  static auto methods =
      joined<PyMethodDef>({kMethods, kSettingsMethods, kTwoPhaseMethods, kQuestionMethods,
                           kNotificationMethods, kPipelineMethods});
  static auto attributes = joined<PyGetSetDef>({kAttributes, kSettingsAttributes});
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("connection(dsn, async_=False): a session with a server.")},
      {Py_tp_new, reinterpret_cast<void*>(connection_new)},
      {Py_tp_init, reinterpret_cast<void*>(connection_init)},
      {Py_tp_dealloc, reinterpret_cast<void*>(connection_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(connection_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(connection_clear)},
      {Py_tp_repr, reinterpret_cast<void*>(connection_repr)},
      {Py_tp_str, reinterpret_cast<void*>(connection_repr)},
      {Py_tp_methods, methods.data()},
      {Py_tp_members, kMembers},
      {Py_tp_getset, attributes.data()},
      {0, nullptr}};
  static PyType_Spec spec = {"psycoev.extensions.connection", sizeof(ConnectionObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  connection_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return connection_type != nullptr &&
         PyModule_AddObjectRef(module, "connection",
                               reinterpret_cast<PyObject*>(connection_type)) == 0 &&
         add_connection_info(module);
}

}  // namespace types
}  // namespace psycoev
