#include "values/typecaster.h"

#include <cstring>

#include "members.h"
#include "values/casts.h"
#include "values/encoding.h"
#include "values/error.h"
#include "values/typecast.h"

namespace psycoev::values {

PyTypeObject* typecaster_type;

namespace {

int typecaster_traverse(PyObject* object, visitproc visit, void* arg) {
  const TypecasterObject* self = as_typecaster(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->function);
  Py_VISIT(self->base);
  Py_VISIT(self->values);
  return 0;
}

int typecaster_clear(PyObject* object) {
  TypecasterObject* self = as_typecaster(object);
  Py_CLEAR(self->function);
  Py_CLEAR(self->base);
  return 0;
}

void typecaster_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  typecaster_clear(object);
  TypecasterObject* self = as_typecaster(object);
  Py_CLEAR(self->name);
  Py_CLEAR(self->values);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* typecaster_repr(PyObject* object) {
  return PyUnicode_FromFormat("<psycoev._psycopg.type '%U' at %p>", as_typecaster(object)->name,
                              static_cast<void*>(object));
}

// DB-API: a type object equals each type_code it stands for. 1, 0, or -1 with an exception.
int equals(TypecasterObject* self, PyObject* other) {
  if (!is_typecaster(other)) {
    const Ref number(PyNumber_Long(other));
    if (!number) return -1;
    return PySequence_Contains(self->values, number.get());
  }
  const TypecasterObject* that = as_typecaster(other);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(that->values); ++i) {
    const int found = PySequence_Contains(self->values, PyTuple_GET_ITEM(that->values, i));
    if (found != 0) return found;
  }
  return 0;
}

PyObject* typecaster_compare(PyObject* object, PyObject* other, int operation) {
  const int equal = equals(as_typecaster(object), other);
  if (equal < 0) return nullptr;
  return PyBool_FromLong(operation == Py_EQ ? equal : operation == Py_NE ? !equal : 0);
}

PyObject* typecaster_call(PyObject* object, PyObject* args, PyObject*) {
  PyObject* value;
  PyObject* cursor;
  if (!PyArg_ParseTuple(args, "OO", &value, &cursor)) return nullptr;
  return cast_object(object, value, cursor);
}

PyMemberDef typecaster_members[] = {
    {"name", T_OBJECT, offsetof(TypecasterObject, name), READONLY, nullptr},
    {"values", T_OBJECT, offsetof(TypecasterObject, values), READONLY, nullptr},
    {nullptr}};

PyType_Slot typecaster_slots[] = {
    {Py_tp_doc, const_cast<char*>("A type object of DB-API, and how its values become objects.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(typecaster_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(typecaster_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(typecaster_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(typecaster_repr)},
    {Py_tp_call, reinterpret_cast<void*>(typecaster_call)},
    {Py_tp_richcompare, reinterpret_cast<void*>(typecaster_compare)},
    {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
    {Py_tp_members, typecaster_members},
    {0, nullptr}};

PyType_Spec typecaster_spec = {"psycoev._psycopg.type", sizeof(TypecasterObject), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                   Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                               typecaster_slots};

// Calls what a program has registered; data null stands for NULL.
PyObject* call_function(PyObject* function, const char* data, Py_ssize_t size, PyObject* cursor,
                        const ConnectionObject* connection) {
  const Ref keep = Ref::borrowed(function);
  const Ref text(data == nullptr ? Py_NewRef(Py_None) : decode(data, size, connection));
  return text ? PyObject_CallFunctionObjArgs(function, text.get(), cursor, nullptr) : nullptr;
}

// `scope` is what a Python function gets as its cursor, `cursor` the same if it is one of ours.
PyObject* cast(PyObject* typecaster, const char* data, Py_ssize_t size, PyObject* scope,
               CursorObject* cursor) {
  const ConnectionObject* connection = cursor == nullptr ? nullptr : cursor->connection;
  if (!is_typecaster(typecaster)) {
    if (PyCallable_Check(typecaster)) {
      return call_function(typecaster, data, size, scope, connection);
    }
    return raise(exceptions.error, cursor, "internal error: no casting function found");
  }
  const TypecasterObject* self = as_typecaster(typecaster);
  if (self->function != nullptr) {
    return call_function(self->function, data, size, scope, connection);
  }
  if (data == nullptr && (self->cast != nullptr || self->base != nullptr)) Py_RETURN_NONE;
  if (self->cast != nullptr) return self->cast(data, size, cursor);
  if (self->base != nullptr) {
    const Ref keep = Ref::borrowed(typecaster);
    return cast_array(data, size, cursor, self->base, self->delimiter);
  }
  return raise(exceptions.error, cursor, "internal error: no casting function found");
}

PyObject* make(PyObject* name, PyObject* values) {
  PyObject* object = typecaster_type->tp_alloc(typecaster_type, 0);
  if (object == nullptr) return nullptr;
  TypecasterObject* self = as_typecaster(object);
  self->name = Py_NewRef(name);
  self->values = Py_NewRef(values);
  return object;
}

}  // namespace

bool make_typecaster_type() {
  typecaster_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&typecaster_spec));
  return typecaster_type != nullptr;
}

PyObject* typecaster_new(PyObject* name, PyObject* values, PyObject* function) {
  PyObject* object = make(name, values);
  if (object != nullptr && function != nullptr && function != Py_None) {
    as_typecaster(object)->function = Py_NewRef(function);
  }
  return object;
}

PyObject* array_typecaster_new(PyObject* name, PyObject* values, PyObject* base, char delimiter) {
  PyObject* object = make(name, values);
  if (object != nullptr) {
    as_typecaster(object)->base = Py_NewRef(base);
    as_typecaster(object)->delimiter = delimiter;
  }
  return object;
}

PyObject* cast_value(PyObject* typecaster, const char* data, Py_ssize_t size,
                     CursorObject* cursor) {
  PyObject* scope = cursor == nullptr ? Py_None : reinterpret_cast<PyObject*>(cursor);
  return cast(typecaster, data, size, scope, cursor);
}

PyObject* cast_object(PyObject* typecaster, PyObject* value, PyObject* scope) {
  CursorObject* cursor = PyObject_TypeCheck(scope, cursor_type) ? as_cursor(scope) : nullptr;
  if (value == Py_None) return cast(typecaster, nullptr, 0, scope, cursor);
  Ref bytes;
  if (PyUnicode_Check(value)) {
    bytes.reset(encode(value, cursor == nullptr ? nullptr : cursor->connection));
    if (!bytes) return nullptr;
    value = bytes.get();
  }
  Py_buffer view;
  if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0) return nullptr;
  PyObject* result = cast(typecaster, static_cast<const char*>(view.buf), view.len, scope, cursor);
  PyBuffer_Release(&view);
  return result;
}

PyObject* cast_by_oid(CursorObject* cursor, Oid oid, PyObject* value) {
  const Ref key(PyLong_FromUnsignedLong(oid));
  if (!key) return nullptr;
  Ref typecaster = Ref::borrowed(find_typecaster(cursor, key.get(), false));
  if (!typecaster) {
    if (PyErr_Occurred()) return nullptr;
    typecaster = Ref::borrowed(default_typecaster(false));
  }
  return cast_object(typecaster.get(), value, reinterpret_cast<PyObject*>(cursor));
}

}  // namespace psycoev::values
