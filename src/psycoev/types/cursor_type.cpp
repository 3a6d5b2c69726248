// The type cursor: its life and its attributes.
#include "types/cursor_type.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "commands/failure.h"
#include "members.h"
#include "objects/objects.h"
#include "types/checks.h"
#include "types/cursor_result.h"
#include "values/adapt.h"
#include "values/encoding.h"
#include "values/error.h"
#include "values/result_set.h"

namespace psycoev {

PyTypeObject* cursor_type;

namespace types {

using values::exceptions;

bool timeout_from(PyObject* value, double* seconds) {
  if (value == nullptr || value == Py_None) {
    *seconds = -1;
    return value != nullptr;
  }
  *seconds = PyFloat_AsDouble(value);
  if (*seconds == -1 && PyErr_Occurred()) return false;
  if (*seconds >= 0 && !std::isnan(*seconds)) return true;
  PyErr_SetString(PyExc_ValueError, "a timeout is a number of seconds from 0, or None");
  return false;
}

namespace {

PyObject* default_tzinfo_factory;  // datetime.timezone

// ---- life ----

PyObject* cursor_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  CursorObject* self = as_cursor(object);
  self->rowcount = -1;
  self->arraysize = 1;
  self->itersize = 2000;
  self->scrollable = -1;
  self->timeout = -1;
  self->description = Py_NewRef(Py_None);
  self->query = Py_NewRef(Py_None);
  self->status_message = Py_NewRef(Py_None);
  self->row_factory = Py_NewRef(Py_None);
  self->typecaster = Py_NewRef(Py_None);
  self->tzinfo_factory = Py_NewRef(default_tzinfo_factory);
  return object;
}

bool set_name(CursorObject* self, PyObject* name) {
  const Ref text(values::encode(name, self->connection));
  if (!text) return false;
  const Ref quoted(values::quote_identifier(PyBytes_AS_STRING(text.get()),
                                            PyBytes_GET_SIZE(text.get()), self->connection));
  if (!quoted) return false;
  const char* utf8 = PyUnicode_AsUTF8(name);
  if (utf8 == nullptr) return false;
  self->name = strdup(utf8);
  self->quoted_name = strdup(PyBytes_AS_STRING(quoted.get()));
  if (self->name == nullptr || self->quoted_name == nullptr) return PyErr_NoMemory(), false;
  return true;
}

int cursor_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  CursorObject* self = as_cursor(object);
  static const char* names[] = {"conn", "name", nullptr};
  PyObject* connection = nullptr;
  PyObject* name = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:cursor", const_cast<char**>(names),
                                   &connection, &name)) {
    return -1;
  }
  if (!is_connection(connection)) {
    PyErr_SetString(PyExc_TypeError,
                    "argument 1 must be a subclass of psycoev.extensions.connection");
    return -1;
  }
  if (name != Py_None && !PyUnicode_Check(name)) {
    PyErr_Format(PyExc_TypeError, "a cursor's name must be a string, not %.100s",
                 Py_TYPE(name)->tp_name);
    return -1;
  }
  if (self->connection != nullptr) {
    PyErr_SetString(exceptions.programming_error, "the cursor is initialized already");
    return -1;
  }
  self->connection = as_connection(Py_NewRef(connection));
  self->mark = self->connection->mark;
  return name == Py_None || set_name(self, name) ? 0 : -1;
}

int cursor_traverse(PyObject* object, visitproc visit, void* arg) {
  CursorObject* self = as_cursor(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(reinterpret_cast<PyObject*>(self->connection));
  Py_VISIT(self->description);
  Py_VISIT(self->row_factory);
  Py_VISIT(self->tzinfo_factory);
  Py_VISIT(self->typecaster);
  Py_VISIT(self->string_types);
  Py_VISIT(self->binary_types);
  Py_VISIT(self->copy_file);
  return 0;
}

int cursor_clear(PyObject* object) {
  CursorObject* self = as_cursor(object);
  Py_CLEAR(self->connection);
  Py_CLEAR(self->description);
  Py_CLEAR(self->query);
  Py_CLEAR(self->status_message);
  Py_CLEAR(self->row_factory);
  Py_CLEAR(self->tzinfo_factory);
  Py_CLEAR(self->typecaster);
  Py_CLEAR(self->string_types);
  Py_CLEAR(self->binary_types);
  Py_CLEAR(self->copy_file);
  return 0;
}

void cursor_dealloc(PyObject* object) {
  CursorObject* self = as_cursor(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  if (self->result != nullptr) self->result->release();
  std::free(self->name);
  std::free(self->quoted_name);
  cursor_clear(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* cursor_repr(PyObject* object) {
  return PyUnicode_FromFormat("<cursor object at %p; closed: %d>", object,
                              static_cast<int>(as_cursor(object)->closed));
}

PyObject* cursor_enter(PyObject* object, PyObject*) { return Py_NewRef(object); }

PyObject* cursor_exit(PyObject* object, PyObject*) {
  return PyObject_CallMethod(object, "close", nullptr);
}

// ---- attributes ----

PyObject* get_description(PyObject* object, void*) {
  CursorObject* self = as_cursor(object);
  if (self->description == nullptr) {
    self->description = self->result != nullptr
                            ? objects::make_description(self, self->result->get())
                            : Py_NewRef(Py_None);
    if (self->description == nullptr) return nullptr;
  }
  return Py_NewRef(self->description);
}

PyObject* get_closed(PyObject* object, void*) {
  const CursorObject* self = as_cursor(object);
  return PyBool_FromLong(self->closed || self->connection == nullptr ||
                         self->connection->closed != 0);
}

PyObject* get_name(PyObject* object, void*) {
  const char* name = as_cursor(object)->name;
  return name == nullptr ? Py_NewRef(Py_None) : PyUnicode_FromString(name);
}

PyObject* get_lastrowid(PyObject* object, void*) {
  return PyLong_FromUnsignedLong(as_cursor(object)->lastoid);
}

PyObject* get_scrollable(PyObject* object, void*) {
  const int scrollable = as_cursor(object)->scrollable;
  return scrollable < 0 ? Py_NewRef(Py_None) : PyBool_FromLong(scrollable);
}

int set_scrollable(PyObject* object, PyObject* value, void*) {
  return value != nullptr && cursor_set_scrollable(as_cursor(object), value) ? 0 : -1;
}

PyObject* get_withhold(PyObject* object, void*) {
  return PyBool_FromLong(as_cursor(object)->withhold);
}

int set_withhold(PyObject* object, PyObject* value, void*) {
  return value != nullptr && cursor_set_withhold(as_cursor(object), value) ? 0 : -1;
}

PyObject* get_pgresult_ptr(PyObject* object, void*) {
  const CursorObject* self = as_cursor(object);
  return self->result == nullptr ? Py_NewRef(Py_None) : PyLong_FromVoidPtr(self->result->get());
}

PyObject* get_timeout(PyObject* object, void*) {
  const double seconds = as_cursor(object)->timeout;
  return seconds < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(seconds);
}

int set_timeout(PyObject* object, PyObject* value, void*) {
  double seconds = -1;
  if (!timeout_from(value, &seconds)) return -1;
  as_cursor(object)->timeout = seconds;
  return 0;
}

PyMethodDef kMethods[] = {
    {"close", cursor_close, METH_NOARGS,
     "close() -- close the cursor\n\nSwitches: only if it is a named cursor."},
    {"__enter__", cursor_enter, METH_NOARGS, "__enter__() -> self"},
    {"__exit__", cursor_exit, METH_VARARGS, "__exit__(type, value, traceback) -- close()"},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kAttributes[] = {
    {"description", get_description, nullptr, "A Column for each column of the rows; or None.",
     nullptr},
    {"closed", get_closed, nullptr, "Whether the cursor or its connection is closed.", nullptr},
    {"name", get_name, nullptr, "Of a named cursor; else None.", nullptr},
    {"lastrowid", get_lastrowid, nullptr, "The OID of the last row inserted, or 0.", nullptr},
    {"scrollable", get_scrollable, set_scrollable, "SCROLL of a named cursor: None, a bool.",
     nullptr},
    {"withhold", get_withhold, set_withhold, "WITH HOLD of a named cursor.", nullptr},
    {"pgresult_ptr", get_pgresult_ptr, nullptr, "The address of the PGresult, or None.", nullptr},
    {"timeout", get_timeout, set_timeout,
     "Seconds that each statement may take; None is what the connection says.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef kMembers[] = {
    {"connection", T_OBJECT, offsetof(CursorObject, connection), READONLY, "Its connection."},
    {"rowcount", T_LONGLONG, offsetof(CursorObject, rowcount), READONLY,
     "Rows that the last statement gave or changed; -1 is unknown."},
    {"rownumber", T_LONG, offsetof(CursorObject, row), READONLY, "The next row's place."},
    {"arraysize", T_LONG, offsetof(CursorObject, arraysize), 0, "Rows of fetchmany()."},
    {"itersize", T_LONG, offsetof(CursorObject, itersize), 0,
     "Rows that iterating over a named cursor fetches at once."},
    {"query", T_OBJECT, offsetof(CursorObject, query), READONLY, "The last statement, bytes."},
    {"statusmessage", T_OBJECT, offsetof(CursorObject, status_message), READONLY,
     "What the server said of the last statement."},
    {"row_factory", T_OBJECT, offsetof(CursorObject, row_factory), 0,
     "None, or what makes an empty row that is then filled."},
    {"tzinfo_factory", T_OBJECT, offsetof(CursorObject, tzinfo_factory), 0,
     "What makes a tzinfo of an offset, a timedelta; None: naive values."},
    {"typecaster", T_OBJECT, offsetof(CursorObject, typecaster), READONLY, "Not used."},
    {"string_types", T_OBJECT, offsetof(CursorObject, string_types), 0,
     "Typecasters of this cursor."},
    {"binary_types", T_OBJECT, offsetof(CursorObject, binary_types), 0,
     "Typecasters of binary values of this cursor."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(CursorObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

}  // namespace

bool cursor_set_scrollable(CursorObject* self, PyObject* value) {
  if (value != Py_None && self->name == nullptr) {
    PyErr_SetString(exceptions.programming_error, "trying to set .scrollable on unnamed cursor");
    return false;
  }
  const int truth = value == Py_None ? -1 : PyObject_IsTrue(value);
  if (truth < 0 && PyErr_Occurred()) return false;
  self->scrollable = truth;
  return true;
}

bool cursor_set_withhold(CursorObject* self, PyObject* value) {
  if (value != Py_False && self->name == nullptr) {
    PyErr_SetString(exceptions.programming_error, "trying to set .withhold on unnamed cursor");
    return false;
  }
  const int truth = PyObject_IsTrue(value);
  if (truth < 0) return false;
  self->withhold = truth != 0;
  return true;
}

bool add_cursor(PyObject* module) {
  const Ref datetime(PyImport_ImportModule("datetime"));
  if (!datetime) return false;
  default_tzinfo_factory = PyObject_GetAttrString(datetime.get(), "timezone");
  if (default_tzinfo_factory == nullptr) return false;
  static std::vector<PyMethodDef> methods;  // CPython keeps pointers into it
  for (const PyMethodDef* table :
       {kMethods, kExecuteMethods, kFetchMethods, kCopyMethods, kStreamMethods}) {
    for (; table->ml_name != nullptr; ++table) methods.push_back(*table);
  }
  methods.push_back(PyMethodDef{});
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("cursor(conn, name=None): executes statements, has the rows.")},
      {Py_tp_new, reinterpret_cast<void*>(cursor_new)},
      {Py_tp_init, reinterpret_cast<void*>(cursor_init)},
      {Py_tp_dealloc, reinterpret_cast<void*>(cursor_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(cursor_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(cursor_clear)},
      {Py_tp_repr, reinterpret_cast<void*>(cursor_repr)},
      {Py_tp_str, reinterpret_cast<void*>(cursor_repr)},
      {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
      {Py_tp_iternext, reinterpret_cast<void*>(cursor_iternext)},
      {Py_tp_methods, methods.data()},
      {Py_tp_members, kMembers},
      {Py_tp_getset, kAttributes},
      {0, nullptr}};
  static PyType_Spec spec = {"psycoev.extensions.cursor", sizeof(CursorObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  cursor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return cursor_type != nullptr && add_stream(module) &&
         PyModule_AddObjectRef(module, "cursor", reinterpret_cast<PyObject*>(cursor_type)) == 0;
}

}  // namespace types
}  // namespace psycoev
