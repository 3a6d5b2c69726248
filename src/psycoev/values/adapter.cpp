#include "values/adapter.h"

#include <cstring>

#include "members.h"
#include "values/adapter_object.h"
#include "values/encoding.h"

namespace psycoev::values {

int adapter_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(as_adapter(object)->adapted);
  Py_VISIT(reinterpret_cast<PyObject*>(as_adapter(object)->connection));
  return 0;
}

int adapter_clear(PyObject* object) {
  AdapterObject* self = as_adapter(object);
  Py_CLEAR(self->adapted);
  Py_CLEAR(self->connection);
  Py_CLEAR(self->encoding);
  return 0;
}

void adapter_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  adapter_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* adapter_getquoted(PyObject* object, PyObject*) {
  AdapterObject* self = as_adapter(object);
  const Ref adapted = Ref::borrowed(self->adapted);
  if (!adapted) {
    PyErr_SetString(PyExc_RuntimeError, "__init__() of the adapter was not called");
    return nullptr;
  }
  const Ref connection = Ref::borrowed(reinterpret_cast<PyObject*>(self->connection));
  LiteralScope scope{self->connection, nullptr};
  const Ref encoding = Ref::borrowed(self->encoding);
  if (encoding) {
    scope.encoding = PyUnicode_AsUTF8(encoding.get());
    if (scope.encoding == nullptr) return nullptr;
  }
  Buffer out;
  if (!self->write(adapted.get(), scope, out)) return nullptr;
  return out.to_bytes();
}

PyObject* adapter_conform(PyObject* object, PyObject* args) {
  PyObject* protocol;
  if (!PyArg_ParseTuple(args, "O", &protocol)) return nullptr;
  return Py_NewRef(protocol == reinterpret_cast<PyObject*>(isqlquote_type) ? object : Py_None);
}

PyObject* adapter_str(PyObject* object) {
  const Ref quoted(adapter_getquoted(object, nullptr));
  if (!quoted) return nullptr;
  return PyUnicode_DecodeUTF8(PyBytes_AS_STRING(quoted.get()), PyBytes_GET_SIZE(quoted.get()),
                              "replace");
}

namespace {

template <WriteLiteral write>
PyObject* adapter_make(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) as_adapter(self)->write = write;
  return self;
}

int adapter_init(PyObject* object, PyObject* args, PyObject*) {
  PyObject* adapted;
  if (!PyArg_ParseTuple(args, "O", &adapted)) return -1;
  Py_XSETREF(as_adapter(object)->adapted, Py_NewRef(adapted));
  return 0;
}

int list_init(PyObject* object, PyObject* args, PyObject*) {
  PyObject* adapted;
  if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &adapted)) return -1;
  Py_XSETREF(as_adapter(object)->adapted, Py_NewRef(adapted));
  return 0;
}

PyObject* adapter_prepare(PyObject* object, PyObject* args) {
  PyObject* connection;
  if (!PyArg_ParseTuple(args, "O!", connection_type, &connection)) return nullptr;
  AdapterObject* self = as_adapter(object);
  Py_XSETREF(self->connection, as_connection(Py_NewRef(connection)));
  Py_RETURN_NONE;
}

// Python's name of the codec in use.
PyObject* adapter_encoding(PyObject* object, void*) {
  const AdapterObject* self = as_adapter(object);
  if (self->connection != nullptr) return python_encoding(self->connection);
  return self->encoding == nullptr ? PyUnicode_FromString("latin1") : Py_NewRef(self->encoding);
}

int adapter_set_encoding(PyObject* object, PyObject* value, void*) {
  if (value == nullptr) {
    PyErr_SetString(PyExc_TypeError, "encoding cannot be deleted");
    return -1;
  }
  Ref name;
  if (PyUnicode_Check(value)) {
    name.reset(Py_NewRef(value));
  } else if (PyBytes_Check(value)) {
    name.reset(PyUnicode_FromEncodedObject(value, "utf-8", nullptr));
  } else {
    PyErr_Format(PyExc_TypeError, "Expected bytes or unicode string, got %s instead",
                 Py_TYPE(value)->tp_name);
  }
  if (!name) return -1;
  Py_XSETREF(as_adapter(object)->encoding, name.release());
  return 0;
}

PyObject* nothing(PyObject*, void*) { Py_RETURN_NONE; }

constexpr char kGetquotedDoc[] = "getquoted() -> bytes\n\nThe literal of the wrapped object.";
constexpr char kPrepareDoc[] =
    "prepare(connection)\n\nQuote as *connection* has to: by its encoding and its settings.";

PyMethodDef plain_methods[] = {{"getquoted", adapter_getquoted, METH_NOARGS, kGetquotedDoc},
                               {"__conform__", adapter_conform, METH_VARARGS, nullptr},
                               {nullptr}};
PyMethodDef preparing_methods[] = {{"getquoted", adapter_getquoted, METH_NOARGS, kGetquotedDoc},
                                   {"prepare", adapter_prepare, METH_VARARGS, kPrepareDoc},
                                   {"__conform__", adapter_conform, METH_VARARGS, nullptr},
                                   {nullptr}};
PyMemberDef members[] = {{"adapted", T_OBJECT, offsetof(AdapterObject, adapted), READONLY, nullptr},
                         {nullptr}};
PyGetSetDef no_properties[] = {{nullptr}};
PyGetSetDef binary_properties[] = {{"buffer", nothing, nullptr, nullptr, nullptr}, {nullptr}};
PyGetSetDef string_properties[] = {
    {"encoding", adapter_encoding, adapter_set_encoding,
     "Python's name of the codec; that of the connection after prepare().", nullptr},
    {"buffer", nothing, nullptr, nullptr, nullptr},
    {nullptr}};

bool add_class(PyObject* module, AdapterClass& entry, AdapterKind kind) {
  PyGetSetDef* properties = kind == kQuotedString ? string_properties
                            : kind == kBinary     ? binary_properties
                                                  : no_properties;
  PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("An adapter: getquoted() gives the SQL literal of an object.")},
      {Py_tp_new, reinterpret_cast<void*>(entry.make)},
      {Py_tp_init, reinterpret_cast<void*>(kind == kList ? list_init : adapter_init)},
      {Py_tp_dealloc, reinterpret_cast<void*>(adapter_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(adapter_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(adapter_clear)},
      {Py_tp_str, reinterpret_cast<void*>(adapter_str)},
      {Py_tp_methods, entry.prepares ? preparing_methods : plain_methods},
      {Py_tp_members, members},
      {Py_tp_getset, properties},
      {0, nullptr}};
  PyType_Spec spec = {
      entry.full_name, sizeof(AdapterObject), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
      slots};
  entry.type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return entry.type != nullptr && PyModule_AddType(module, entry.type) == 0;
}

}  // namespace

AdapterClass adapter_classes[kKinds] = {
    {"psycoev.extensions.AsIs", adapter_make<write_as_is>, false, nullptr},
    {"psycoev.extensions.Boolean", adapter_make<write_boolean>, false, nullptr},
    {"psycoev.extensions.Int", adapter_make<write_integer>, false, nullptr},
    {"psycoev.extensions.Float", adapter_make<write_float>, false, nullptr},
    {"psycoev._psycopg.Decimal", adapter_make<write_decimal>, false, nullptr},
    {"psycoev.extensions.Binary", adapter_make<write_binary>, true, nullptr},
    {"psycoev.extensions.QuotedString", adapter_make<write_string>, true, nullptr},
    {"psycoev._psycopg.List", adapter_make<write_list>, true, nullptr},
};

bool add_adapter_classes(PyObject* module) {
  for (int kind = 0; kind < kKinds; ++kind) {
    if (!add_class(module, adapter_classes[kind], static_cast<AdapterKind>(kind))) return false;
  }
  return true;
}

}  // namespace psycoev::values
