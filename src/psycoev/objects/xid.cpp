#include "objects/xid.h"

#include <climits>
#include <cstring>

#include "members.h"
#include "objects/objects.h"
#include "values/error.h"

namespace psycoev::objects {
namespace {

// Made by a program or of the text of one of ours; of a foreign text only gtrid is set, and is it.
struct XidObject {
  PyObject_HEAD PyObject* format_id;
  PyObject* gtrid;
  PyObject* bqual;
  PyObject* prepared;
  PyObject* owner;
  PyObject* database;
};

PyTypeObject* xid_type;

XidObject* as_xid(PyObject* object) { return reinterpret_cast<XidObject*>(object); }

template <typename Visit>
void for_each_member(XidObject* self, Visit visit) {
  for (PyObject** place : {&self->format_id, &self->gtrid, &self->bqual, &self->prepared,
                           &self->owner, &self->database}) {
    visit(place);
  }
}

PyObject* xid_make(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object != nullptr) {
    for_each_member(as_xid(object), [](PyObject** place) { *place = Py_NewRef(Py_None); });
  }
  return object;
}

// X/Open limits both parts to 64 bytes; printable ones survive whatever shows them.
bool is_valid_part(PyObject* part, const char* name) {
  if (PyUnicode_GET_LENGTH(part) > 64) {
    PyErr_Format(PyExc_ValueError, "%s must be a string no longer than 64 characters", name);
    return false;
  }
  for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(part); ++i) {
    const Py_UCS4 c = PyUnicode_READ_CHAR(part, i);
    if (c < 0x20 || c >= 0x7f) {
      PyErr_Format(PyExc_ValueError, "%s must contain only printable characters.", name);
      return false;
    }
  }
  return true;
}

int xid_init(PyObject* object, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"format_id", "gtrid", "bqual", nullptr};
  int format_id;
  PyObject* gtrid;
  PyObject* bqual;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "iUU", const_cast<char**>(names), &format_id,
                                   &gtrid, &bqual)) {
    return -1;
  }
  if (format_id < 0) {
    PyErr_SetString(PyExc_ValueError, "format_id must be a non-negative 32-bit integer");
    return -1;
  }
  if (!is_valid_part(gtrid, "gtrid") || !is_valid_part(bqual, "bqual")) return -1;
  const Ref number(PyLong_FromLong(format_id));
  if (!number) return -1;
  XidObject* self = as_xid(object);
  Py_XSETREF(self->format_id, Py_NewRef(number.get()));
  Py_XSETREF(self->gtrid, Py_NewRef(gtrid));
  Py_XSETREF(self->bqual, Py_NewRef(bqual));
  return 0;
}

int xid_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(as_xid(object)->prepared);
  return 0;
}
void xid_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  for_each_member(as_xid(object), [](PyObject** place) { Py_CLEAR(*place); });
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

// base64.<name>(argument)
Ref base64(const char* name, PyObject* argument) {
  const Ref module(PyImport_ImportModule("base64"));
  return Ref(module && argument != nullptr ? PyObject_CallMethod(module.get(), name, "O", argument)
                                           : nullptr);
}

Ref encoded(PyObject* part) {
  const Ref bytes(PyUnicode_AsUTF8String(part));
  const Ref text = base64("b64encode", bytes.get());
  return Ref(text ? PyUnicode_FromEncodedObject(text.get(), "ascii", nullptr) : nullptr);
}

Ref decoded(PyObject* part) {
  const Ref bytes = base64("b64decode", part);
  return Ref(bytes ? PyUnicode_FromEncodedObject(bytes.get(), "utf-8", nullptr) : nullptr);
}

PyObject* xid_str(PyObject* object) { return xid_transaction_id(object); }

PyObject* xid_repr(PyObject* object) {
  const XidObject* self = as_xid(object);
  if (self->format_id == Py_None) return PyUnicode_FromFormat("<Xid: %R (unparsed)>", self->gtrid);
  return PyUnicode_FromFormat("<Xid: (%S, %R, %R)>", self->format_id, self->gtrid, self->bqual);
}

Py_ssize_t xid_length(PyObject*) { return 3; }

PyObject* xid_item(PyObject* object, Py_ssize_t index) {
  const XidObject* self = as_xid(object);
  switch (index) {
    case 0:
      return Py_NewRef(self->format_id);
    case 1:
      return Py_NewRef(self->gtrid);
    case 2:
      return Py_NewRef(self->bqual);
    default:
      PyErr_SetString(PyExc_IndexError, "index out of range");
      return nullptr;
  }
}

// "12_Z3RyaWQ=_YnF1YWw=", or nothing, with an exception set or not, where it is of another form.
Ref parse(PyObject* text) {
  const Ref parts(PyObject_CallMethod(text, "split", "s", "_"));
  if (!parts || PyList_GET_SIZE(parts.get()) != 3) return Ref();
  PyObject* digits = PyList_GET_ITEM(parts.get(), 0);
  const char* number = PyUnicode_AsUTF8(digits);
  if (number == nullptr || *number == 0 ||
      std::strspn(number, "0123456789") != static_cast<size_t>(PyUnicode_GET_LENGTH(digits))) {
    return Ref();
  }
  const Ref format_id(PyLong_FromUnicodeObject(digits, 10));
  const Ref gtrid = format_id ? decoded(PyList_GET_ITEM(parts.get(), 1)) : Ref();
  const Ref bqual = gtrid ? decoded(PyList_GET_ITEM(parts.get(), 2)) : Ref();
  if (!bqual) return Ref();
  return Ref(xid_new(format_id.get(), gtrid.get(), bqual.get()));
}

PyObject* from_string(PyObject* text) {
  if (!PyUnicode_Check(text)) {
    PyErr_SetString(PyExc_TypeError, "not a valid transaction id");
    return nullptr;
  }
  Ref xid = parse(text);
  if (xid) return xid.release();
  // Another program's id: whatever it is, its transaction can be committed by this text.
  if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) return nullptr;
  PyErr_Clear();
  xid = Ref(xid_make(xid_type, nullptr, nullptr));
  if (xid) Py_XSETREF(as_xid(xid.get())->gtrid, Py_NewRef(text));
  return xid.release();
}

PyObject* xid_from_string(PyObject*, PyObject* args) {
  PyObject* text;
  if (!PyArg_ParseTuple(args, "O", &text)) return nullptr;
  return from_string(text);
}

PyMemberDef members[] = {
    {"format_id", T_OBJECT, offsetof(XidObject, format_id), READONLY,
     "A non-negative int; None of an id that another program has made."},
    {"gtrid", T_OBJECT, offsetof(XidObject, gtrid), READONLY,
     "The id of the global transaction, or the whole text of another program's id."},
    {"bqual", T_OBJECT, offsetof(XidObject, bqual), READONLY, "The branch qualifier."},
    {"prepared", T_OBJECT, offsetof(XidObject, prepared), READONLY,
     "When a recovered transaction was prepared."},
    {"owner", T_OBJECT, offsetof(XidObject, owner), READONLY, "Who prepared it."},
    {"database", T_OBJECT, offsetof(XidObject, database), READONLY, "The database it is of."},
    {nullptr}};

PyMethodDef methods[] = {
    {"from_string", xid_from_string, METH_VARARGS | METH_STATIC,
     "from_string(text) -> Xid\n\nThe id whose str() is *text*; any other text is its gtrid."},
    {nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The id of a two-phase transaction; as a sequence:\n"
                                  "(format_id, gtrid, bqual).")},
    {Py_tp_new, reinterpret_cast<void*>(xid_make)},
    {Py_tp_init, reinterpret_cast<void*>(xid_init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(xid_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(xid_traverse)},
    {Py_tp_str, reinterpret_cast<void*>(xid_str)},
    {Py_tp_repr, reinterpret_cast<void*>(xid_repr)},
    {Py_sq_length, reinterpret_cast<void*>(xid_length)},
    {Py_sq_item, reinterpret_cast<void*>(xid_item)},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, nullptr}};

PyType_Spec spec = {
    "psycoev.extensions.Xid", sizeof(XidObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    slots};

// One row of pg_prepared_xacts as an Xid.
Ref recovered(PyObject* row) {
  const Ref fields(PySequence_Fast(row, "a row is not a sequence"));
  if (!fields || PySequence_Fast_GET_SIZE(fields.get()) != 4) return Ref();
  Ref xid(from_string(PySequence_Fast_GET_ITEM(fields.get(), 0)));
  if (!xid) return Ref();
  XidObject* self = as_xid(xid.get());
  Py_XSETREF(self->prepared, Py_NewRef(PySequence_Fast_GET_ITEM(fields.get(), 1)));
  Py_XSETREF(self->owner, Py_NewRef(PySequence_Fast_GET_ITEM(fields.get(), 2)));
  Py_XSETREF(self->database, Py_NewRef(PySequence_Fast_GET_ITEM(fields.get(), 3)));
  return xid;
}

// The rows of pg_prepared_xacts, by a plain cursor whatever the connection's factory is.
Ref prepared_transactions(PyObject* connection) {
  const Ref cursor(PyObject_CallOneArg(reinterpret_cast<PyObject*>(cursor_type), connection));
  const Ref done(cursor ? PyObject_CallMethod(cursor.get(), "execute", "s",
                                              "SELECT gid, prepared, owner, database "
                                              "FROM pg_prepared_xacts")
                        : nullptr);
  Ref rows(done ? PyObject_CallMethod(cursor.get(), "fetchall", nullptr) : nullptr);
  const Ref closed(rows ? PyObject_CallMethod(cursor.get(), "close", nullptr) : nullptr);
  return closed ? std::move(rows) : Ref();
}

}  // namespace

bool add_xid(PyObject* module) {
  xid_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return xid_type != nullptr && PyModule_AddType(module, xid_type) == 0;
}

PyObject* xid_ensure(PyObject* object) {
  return PyObject_TypeCheck(object, xid_type) ? Py_NewRef(object) : from_string(object);
}

PyObject* xid_new(PyObject* format_id, PyObject* gtrid, PyObject* bqual) {
  return PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(xid_type), format_id, gtrid,
                                      bqual, nullptr);
}

PyObject* xid_transaction_id(PyObject* object) {
  const XidObject* self = as_xid(object);
  if (self->format_id == Py_None) return Py_NewRef(self->gtrid);
  const Ref gtrid = encoded(self->gtrid);
  const Ref bqual = gtrid ? encoded(self->bqual) : Ref();
  return bqual ? PyUnicode_FromFormat("%S_%U_%U", self->format_id, gtrid.get(), bqual.get())
               : nullptr;
}

PyObject* xid_recover(PyObject* connection) {
  const bool was_idle = as_connection(connection)->pg != nullptr &&
                        PQtransactionStatus(as_connection(connection)->pg) == PQTRANS_IDLE;
  const Ref rows = prepared_transactions(connection);
  if (!rows) return nullptr;
  Ref xids(PyList_New(0));
  if (!xids) return nullptr;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(rows.get()); ++i) {
    const Ref xid = recovered(PyList_GET_ITEM(rows.get(), i));
    if (!xid || PyList_Append(xids.get(), xid.get()) < 0) return nullptr;
  }
  // The question must not leave a transaction open that nobody has begun.
  if (was_idle && !as_connection(connection)->autocommit) {
    const Ref done(PyObject_CallMethod(connection, "rollback", nullptr));
    if (!done) return nullptr;
  }
  return xids.release();
}

}  // namespace psycoev::objects
