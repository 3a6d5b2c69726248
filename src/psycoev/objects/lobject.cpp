#include "objects/lobject.h"

#include <string>
#include <string_view>

#include "commands/large_object.h"
#include "members.h"
#include "objects/objects.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::objects {

using values::exceptions;
using values::raise;

PyTypeObject* lobject_type;

namespace {

constexpr int kRead = 0x40000;  // the server's INV_READ and INV_WRITE
constexpr int kWrite = 0x20000;

struct LobjectObject {
  PyObject_HEAD ConnectionObject* connection;  // owned; null before __init__
  Oid oid;
  int descriptor;      // the server's; -1: not opened, or closed
  int mode;            // kRead | kWrite
  bool is_text;        // read() gives str
  unsigned long mark;  // the transaction in which the descriptor is valid
  PyObject* weak_references;
};

LobjectObject* as_lobject(PyObject* object) { return reinterpret_cast<LobjectObject*>(object); }

struct Mode {
  int access = 0;  // none: 'n'
  bool is_text = true;
};

// [r|w|rw|n][t|b]
bool parse_mode(const char* text, Mode& mode) {
  std::string_view rest = text;
  if (rest.starts_with("rw")) {
    mode.access = kRead | kWrite;
    rest.remove_prefix(2);
  } else if (rest.starts_with('r')) {
    mode.access = kRead;
    rest.remove_prefix(1);
  } else if (rest.starts_with('w')) {
    mode.access = kWrite;
    rest.remove_prefix(1);
  } else if (rest.starts_with('n')) {
    rest.remove_prefix(1);
  } else {
    mode.access = kRead;
  }
  if (rest == "b") mode.is_text = false;
  if (rest.empty() || rest == "b" || rest == "t") return true;
  PyErr_Format(PyExc_ValueError, "bad mode for lobject: '%s'", text);
  return false;
}

bool is_closed(const LobjectObject* self) {
  return self->descriptor < 0 || self->connection == nullptr || self->connection->pg == nullptr ||
         self->connection->closed != 0;
}

// What programs expect of every failure here, whatever the SQLSTATE: OperationalError, with all
// that the server said. False, for `return fail()`.
bool fail() {
  if (!PyErr_ExceptionMatches(exceptions.database_error) ||
      PyErr_ExceptionMatches(exceptions.operational_error)) {
    return false;
  }
  values::reclassify(exceptions.operational_error);
  return false;
}

bool refuse_autocommit(const LobjectObject* self) {
  if (!self->connection->autocommit) return false;
  raise(exceptions.programming_error, nullptr, "can't use a lobject outside of transactions");
  return true;
}

bool is_of_older_transaction(const LobjectObject* self) {
  return self->mark != self->connection->mark;
}

// Whether a method may use the descriptor; false with an exception set.
bool is_usable(LobjectObject* self) {
  if (is_closed(self)) {
    raise(exceptions.interface_error, nullptr, "lobject already closed");
    return false;
  }
  if (refuse_autocommit(self)) return false;
  if (is_of_older_transaction(self)) {
    raise(exceptions.programming_error, nullptr, "lobject isn't valid anymore");
    return false;
  }
  return true;
}

bool is_connected(LobjectObject* self) {
  if (self->connection != nullptr && self->connection->pg != nullptr) return true;
  raise(exceptions.interface_error, nullptr, "connection already closed");
  return false;
}

bool open(LobjectObject* self, Mode mode, Oid new_oid, const char* new_file) {
  ConnectionObject* connection = self->connection;
  if (!commands::lo_begin(connection)) return fail();
  self->mark = connection->mark;
  if (self->oid == InvalidOid) {
    self->oid = new_file != nullptr ? commands::lo_import(connection, new_file, new_oid)
                                    : commands::lo_create(connection, new_oid);
    if (self->oid == InvalidOid) return fail();
    mode.access = kWrite;  // what is new has nothing to read
  }
  self->mode = mode.access;
  self->is_text = mode.is_text;
  // Without an access the object is only there to be exported or unlinked.
  if (mode.access == 0) return true;
  self->descriptor = commands::lo_open(connection, self->oid, mode.access);
  return self->descriptor >= 0 || fail();
}

PyObject* lobject_make(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object != nullptr) as_lobject(object)->descriptor = -1;
  return object;
}

int lobject_init(PyObject* object, PyObject* args, PyObject*) {
  PyObject* connection;
  unsigned int oid = InvalidOid;
  unsigned int new_oid = InvalidOid;
  const char* mode_text = "";
  const char* new_file = nullptr;
  if (!PyArg_ParseTuple(args, "O!|IzIz", connection_type, &connection, &oid, &mode_text, &new_oid,
                        &new_file)) {
    return -1;
  }
  Mode mode;
  if (!parse_mode(mode_text == nullptr ? "" : mode_text, mode)) return -1;
  LobjectObject* self = as_lobject(object);
  Py_XSETREF(self->connection, as_connection(Py_NewRef(connection)));
  self->oid = oid;
  self->descriptor = -1;
  if (!is_connected(self) || refuse_autocommit(self)) return -1;
  return open(self, mode, new_oid, new_file) ? 0 : -1;
}

int lobject_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(reinterpret_cast<PyObject*>(as_lobject(object)->connection));
  return 0;
}
int lobject_clear(PyObject* object) {
  Py_CLEAR(as_lobject(object)->connection);
  return 0;
}
// Does not close the descriptor: that would wait, and the server does it when the transaction ends.
void lobject_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  if (as_lobject(object)->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  lobject_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* lobject_repr(PyObject* object) {
  return PyUnicode_FromFormat("<lobject object at %p; closed: %d>", static_cast<void*>(object),
                              is_closed(as_lobject(object)) ? 1 : 0);
}

// Closes the descriptor where there is a live one.
bool close_descriptor(LobjectObject* self) {
  if (is_closed(self) || self->connection->autocommit || is_of_older_transaction(self)) return true;
  const int descriptor = std::exchange(self->descriptor, -1);
  return commands::lo_close(self->connection, descriptor) || fail();
}

PyObject* lobject_close(PyObject* object, PyObject*) {
  if (!close_descriptor(as_lobject(object))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* lobject_write(PyObject* object, PyObject* args) {
  PyObject* data;
  if (!PyArg_ParseTuple(args, "O", &data)) return nullptr;
  LobjectObject* self = as_lobject(object);
  Ref bytes;
  if (PyUnicode_Check(data)) {
    bytes = Ref(values::encode(data, self->connection));
  } else if (PyBytes_Check(data)) {
    bytes = Ref::borrowed(data);
  } else {
    PyErr_Format(PyExc_TypeError, "lobject.write requires a string; got %s instead",
                 Py_TYPE(data)->tp_name);
  }
  if (!bytes || !is_usable(self)) return nullptr;
  const Py_ssize_t written =
      commands::lo_write(self->connection, self->descriptor, PyBytes_AS_STRING(bytes.get()),
                         PyBytes_GET_SIZE(bytes.get()));
  if (written < 0 && !fail()) return nullptr;
  return PyLong_FromSsize_t(written);
}

// What is left between the position and the end; -1 with an exception set.
long long rest_of(LobjectObject* self) {
  const long long position = commands::lo_tell(self->connection, self->descriptor);
  if (position < 0 || !is_usable(self)) return -1;
  const long long end = commands::lo_seek(self->connection, self->descriptor, 0, 2);
  if (end < 0 || !is_usable(self)) return -1;
  if (commands::lo_seek(self->connection, self->descriptor, position, 0) < 0) return -1;
  return end > position ? end - position : 0;
}

PyObject* lobject_read(PyObject* object, PyObject* args) {
  int size = -1;
  if (!PyArg_ParseTuple(args, "|i", &size)) return nullptr;
  LobjectObject* self = as_lobject(object);
  if (!is_usable(self)) return nullptr;
  const long long wanted = size < 0 ? rest_of(self) : size;
  if (wanted < 0) {
    fail();
    return nullptr;
  }
  if (!is_usable(self)) return nullptr;
  const Ref bytes(
      commands::lo_read(self->connection, self->descriptor, static_cast<Py_ssize_t>(wanted)));
  if (!bytes) {
    fail();
    return nullptr;
  }
  if (!self->is_text) return Py_NewRef(bytes.get());
  return values::decode(PyBytes_AS_STRING(bytes.get()), PyBytes_GET_SIZE(bytes.get()),
                        self->connection);
}

PyObject* position_or_fail(long long position) {
  if (position < 0) {
    fail();
    return nullptr;
  }
  return PyLong_FromLongLong(position);
}

PyObject* lobject_seek(PyObject* object, PyObject* args) {
  long long offset;
  int whence = 0;
  if (!PyArg_ParseTuple(args, "L|i", &offset, &whence)) return nullptr;
  LobjectObject* self = as_lobject(object);
  if (!is_usable(self)) return nullptr;
  return position_or_fail(commands::lo_seek(self->connection, self->descriptor, offset, whence));
}

PyObject* lobject_tell(PyObject* object, PyObject*) {
  LobjectObject* self = as_lobject(object);
  if (!is_usable(self)) return nullptr;
  return position_or_fail(commands::lo_tell(self->connection, self->descriptor));
}

PyObject* lobject_truncate(PyObject* object, PyObject* args) {
  long long size = 0;
  if (!PyArg_ParseTuple(args, "|L", &size)) return nullptr;
  LobjectObject* self = as_lobject(object);
  if (!is_usable(self)) return nullptr;
  if (!commands::lo_truncate(self->connection, self->descriptor, size) && !fail()) return nullptr;
  Py_RETURN_NONE;
}

PyObject* lobject_unlink(PyObject* object, PyObject*) {
  LobjectObject* self = as_lobject(object);
  if (!is_connected(self) || !close_descriptor(self)) return nullptr;
  if (!is_connected(self)) return nullptr;
  if (!commands::lo_unlink(self->connection, self->oid) && !fail()) return nullptr;
  self->descriptor = -1;
  Py_RETURN_NONE;
}

PyObject* lobject_export(PyObject* object, PyObject* args) {
  PyObject* path;
  if (!PyArg_ParseTuple(args, "O&", PyUnicode_FSConverter, &path)) return nullptr;
  const Ref owned(path);
  LobjectObject* self = as_lobject(object);
  if (!is_connected(self) || refuse_autocommit(self)) return nullptr;
  if (!commands::lo_export(self->connection, self->oid, PyBytes_AS_STRING(path)) && !fail()) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* lobject_closed(PyObject* object, void*) {
  return PyBool_FromLong(is_closed(as_lobject(object)));
}

PyObject* lobject_mode(PyObject* object, void*) {
  const LobjectObject* self = as_lobject(object);
  std::string text;
  if (self->mode & kRead) text += 'r';
  if (self->mode & kWrite) text += 'w';
  if (self->mode == 0) {
    text = "n";
  } else {
    text += self->is_text ? 't' : 'b';
  }
  return PyUnicode_FromString(text.c_str());
}

PyObject* lobject_oid(PyObject* object, void*) {
  return PyLong_FromUnsignedLong(as_lobject(object)->oid);
}

PyMethodDef methods[] = {
    {"close", lobject_close, METH_NOARGS,
     "close()\n\nClose the object; nothing after the end of its transaction.\n\n"
     "Switches: always, unless it is closed."},
    {"read", lobject_read, METH_VARARGS,
     "read(size=-1) -> str or bytes\n\nAt most *size* bytes, or all that follow, by the mode.\n\n"
     "Switches: always."},
    {"write", lobject_write, METH_VARARGS,
     "write(data) -> int\n\nWrite str or bytes; the count of bytes.\n\nSwitches: always."},
    {"seek", lobject_seek, METH_VARARGS,
     "seek(offset, whence=0) -> int\n\nThe new position in bytes, of 64 bits.\n\n"
     "Switches: always."},
    {"tell", lobject_tell, METH_NOARGS,
     "tell() -> int\n\nThe position in bytes.\n\nSwitches: always."},
    {"truncate", lobject_truncate, METH_VARARGS,
     "truncate(size=0)\n\nMake the object *size* bytes long.\n\nSwitches: always."},
    {"unlink", lobject_unlink, METH_NOARGS,
     "unlink()\n\nClose the object and delete it.\n\nSwitches: always."},
    {"export", lobject_export, METH_VARARGS,
     "export(path)\n\nWrite the object to a local file.\n\nSwitches: always."},
    {nullptr}};

PyGetSetDef properties[] = {
    {"closed", lobject_closed, nullptr, "Whether the object or its connection is closed.", nullptr},
    {"mode", lobject_mode, nullptr, "How it was opened: r, w, rw or n, and t or b.", nullptr},
    {"oid", lobject_oid, nullptr, "The oid of the object.", nullptr},
    {nullptr}};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(LobjectObject, weak_references), READONLY, nullptr},
    {nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc,
     const_cast<char*>("lobject(connection, oid=0, mode='', new_oid=0, new_file=None)\n\n"
                       "A large object of the server, as a file; valid in one transaction.\n\n"
                       "Switches: always.")},
    {Py_tp_new, reinterpret_cast<void*>(lobject_make)},
    {Py_tp_init, reinterpret_cast<void*>(lobject_init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(lobject_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(lobject_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(lobject_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(lobject_repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {0, nullptr}};

PyType_Spec spec = {
    "psycoev.extensions.lobject", sizeof(LobjectObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    slots};

}  // namespace

bool add_lobject(PyObject* module) {
  lobject_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return lobject_type != nullptr && PyModule_AddType(module, lobject_type) == 0;
}

}  // namespace psycoev::objects
