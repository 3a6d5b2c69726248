#include "objects/column.h"

#include <cstring>

#include "members.h"
#include "objects/objects.h"
#include "values/encoding.h"

namespace psycoev::objects {
namespace {

constexpr Py_ssize_t kItems = 7;  // DB-API's
constexpr Py_ssize_t kAttributes = 9;

struct ColumnObject {
  // name, type_code, display_size, internal_size, precision, scale, null_ok; table_oid,
  // table_column. Owned; null stands for None.
  PyObject_HEAD PyObject* values[kAttributes];
};

PyTypeObject* column_type;

ColumnObject* as_column(PyObject* object) { return reinterpret_cast<ColumnObject*>(object); }

PyObject* column_make(PyTypeObject* type, PyObject*, PyObject*) { return type->tp_alloc(type, 0); }

int column_init(PyObject* object, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"name",  "type_code", "display_size", "internal_size", "precision",
                                "scale", "null_ok",   "table_oid",    "table_column",  nullptr};
  PyObject* values[kAttributes] = {};
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OOOOOOOOO", const_cast<char**>(names),
                                   &values[0], &values[1], &values[2], &values[3], &values[4],
                                   &values[5], &values[6], &values[7], &values[8])) {
    return -1;
  }
  for (Py_ssize_t i = 0; i < kAttributes; ++i) {
    Py_XSETREF(as_column(object)->values[i], Py_XNewRef(values[i]));
  }
  return 0;
}

int column_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  for (PyObject* value : as_column(object)->values) Py_VISIT(value);
  return 0;
}
int column_clear(PyObject* object) {
  for (PyObject*& value : as_column(object)->values) Py_CLEAR(value);
  return 0;
}
void column_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  column_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* value_of(PyObject* object, Py_ssize_t index) {
  PyObject* value = as_column(object)->values[index];
  return Py_NewRef(value == nullptr ? Py_None : value);
}

// The seven items of DB-API.
PyObject* as_tuple(PyObject* object, Py_ssize_t count = kItems) {
  PyObject* tuple = PyTuple_New(count);
  if (tuple == nullptr) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(tuple, i, value_of(object, i));
  return tuple;
}

PyObject* column_repr(PyObject* object) {
  const Ref name(value_of(object, 0));
  const Ref type_code(value_of(object, 1));
  return PyUnicode_FromFormat("Column(name=%R, type_code=%S)", name.get(), type_code.get());
}

PyObject* column_compare(PyObject* object, PyObject* other, int operation) {
  const Ref mine(as_tuple(object));
  const Ref theirs(Py_IS_TYPE(other, column_type) ? as_tuple(other) : Py_NewRef(other));
  return mine && theirs ? PyObject_RichCompare(mine.get(), theirs.get(), operation) : nullptr;
}

Py_ssize_t column_length(PyObject*) { return kItems; }

PyObject* column_subscript(PyObject* object, PyObject* key) {
  const Ref tuple(as_tuple(object));
  return tuple ? PyObject_GetItem(tuple.get(), key) : nullptr;
}

PyObject* column_item(PyObject* object, Py_ssize_t index) {
  if (index >= 0 && index < kItems) return value_of(object, index);
  PyErr_SetString(PyExc_IndexError, "index out of range");
  return nullptr;
}

PyObject* column_getstate(PyObject* object, PyObject*) { return as_tuple(object, kAttributes); }

PyObject* column_setstate(PyObject* object, PyObject* state) {
  if (state == Py_None) Py_RETURN_NONE;
  if (!PyTuple_Check(state)) {
    PyErr_SetString(PyExc_TypeError, "state is not a tuple");
    return nullptr;
  }
  for (Py_ssize_t i = 0; i < kAttributes && i < PyTuple_GET_SIZE(state); ++i) {
    Py_XSETREF(as_column(object)->values[i], Py_NewRef(PyTuple_GET_ITEM(state, i)));
  }
  Py_RETURN_NONE;
}

PyObject* column_reduce(PyObject* object, PyObject*) {
  const Ref arguments(as_tuple(object, kAttributes));
  return arguments ? PyTuple_Pack(2, Py_TYPE(object), arguments.get()) : nullptr;
}

constexpr PyMemberDef member(const char* name, size_t index, const char* doc) {
  return {name, T_OBJECT,
          static_cast<Py_ssize_t>(offsetof(ColumnObject, values) + index * sizeof(PyObject*)),
          READONLY, doc};
}

PyMemberDef members[] = {
    member("name", 0, "The name of the column."),
    member("type_code", 1, "The oid of the type: compare it with DB-API's type objects."),
    member("display_size", 2, "None: finding it out would cost a scan of the result."),
    member("internal_size", 3, "The size in bytes; negative for types of variable size."),
    member("precision", 4, "Of numeric: significant digits."),
    member("scale", 5, "Of numeric: digits behind the point."),
    member("null_ok", 6, "None: a result does not say it."),
    member("table_oid", 7, "The oid of the table that the column is from, or None."),
    member("table_column", 8, "The number of the column in its table, or None."),
    {nullptr}};

PyMethodDef methods[] = {{"__getstate__", column_getstate, METH_NOARGS, nullptr},
                         {"__setstate__", column_setstate, METH_O, nullptr},
                         {"__reduce__", column_reduce, METH_NOARGS, nullptr},
                         {nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("One column of a result: the tuple of DB-API, with names.")},
    {Py_tp_new, reinterpret_cast<void*>(column_make)},
    {Py_tp_init, reinterpret_cast<void*>(column_init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(column_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(column_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(column_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(column_repr)},
    {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
    {Py_tp_richcompare, reinterpret_cast<void*>(column_compare)},
    {Py_sq_length, reinterpret_cast<void*>(column_length)},
    {Py_sq_item, reinterpret_cast<void*>(column_item)},
    {Py_mp_length, reinterpret_cast<void*>(column_length)},
    {Py_mp_subscript, reinterpret_cast<void*>(column_subscript)},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, nullptr}};

PyType_Spec spec = {
    "psycoev.extensions.Column", sizeof(ColumnObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    slots};

// What the server says of a type's size: bytes, or -1 and a modifier. That of numeric holds both
// its limits, ((precision << 16) | scale) + 4; that of text is its longest size and 4.
void set_sizes(ColumnObject* column, Oid type, int size, int modifier) {
  constexpr Oid kNumeric = 1700;
  const int limits = modifier > 0 ? modifier - 4 : modifier;
  if (type == kNumeric) {
    // 65535 for both where the type has no limits: programs know that from psycopg2.
    column->values[4] = PyLong_FromLong((limits >> 16) & 0xFFFF);
    column->values[5] = PyLong_FromLong(limits & 0xFFFF);
  }
  column->values[3] = PyLong_FromLong(size != -1 ? size : type == kNumeric ? limits >> 16 : limits);
}

PyObject* make_column(CursorObject* cursor, const PGresult* result, int index) {
  Ref object(column_type->tp_alloc(column_type, 0));
  if (!object) return nullptr;
  ColumnObject* column = as_column(object.get());
  const char* name = PQfname(result, index);
  const Oid type = PQftype(result, index);
  const Oid table = PQftable(result, index);
  column->values[0] =
      values::decode(name, static_cast<Py_ssize_t>(std::strlen(name)), cursor->connection);
  column->values[1] = PyLong_FromUnsignedLong(type);
  if (column->values[0] == nullptr || column->values[1] == nullptr) return nullptr;
  set_sizes(column, type, PQfsize(result, index), PQfmod(result, index));
  if (table != InvalidOid) {
    column->values[7] = PyLong_FromUnsignedLong(table);
    column->values[8] = PyLong_FromLong(PQftablecol(result, index));
  }
  return PyErr_Occurred() ? nullptr : object.release();
}

}  // namespace

bool add_column(PyObject* module) {
  column_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return column_type != nullptr && PyModule_AddType(module, column_type) == 0;
}

PyObject* make_description(CursorObject* cursor, const PGresult* result) {
  const int count = PQnfields(result);
  Ref description(PyTuple_New(count));
  if (!description) return nullptr;
  for (int i = 0; i < count; ++i) {
    PyObject* column = make_column(cursor, result, i);
    if (column == nullptr) return nullptr;
    PyTuple_SET_ITEM(description.get(), i, column);
  }
  return description.release();
}

}  // namespace psycoev::objects
