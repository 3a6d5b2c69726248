// extensions.ISQLQuote: the name of a protocol, and a base class for whoever wants one.

#include "members.h"
#include "values/adapter.h"

namespace psycoev::values {

PyTypeObject* isqlquote_type;

namespace {

struct IsqlquoteObject {
  PyObject_HEAD PyObject* wrapped;
};

PyObject* isqlquote_make(PyTypeObject* type, PyObject*, PyObject*) {
  return type->tp_alloc(type, 0);
}

int isqlquote_init(PyObject* object, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"wrapped", nullptr};
  PyObject* wrapped = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O", const_cast<char**>(names), &wrapped)) {
    return -1;
  }
  Py_XSETREF(reinterpret_cast<IsqlquoteObject*>(object)->wrapped, Py_XNewRef(wrapped));
  return 0;
}

int isqlquote_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(reinterpret_cast<IsqlquoteObject*>(object)->wrapped);
  return 0;
}
int isqlquote_clear(PyObject* object) {
  Py_CLEAR(reinterpret_cast<IsqlquoteObject*>(object)->wrapped);
  return 0;
}
void isqlquote_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  isqlquote_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* nothing(PyObject*, PyObject*) { Py_RETURN_NONE; }

PyMethodDef methods[] = {{"getquoted", nothing, METH_NOARGS, "The SQL literal, as bytes."},
                         {"getbinary", nothing, METH_NOARGS, "The object in binary form."},
                         {"getbuffer", nothing, METH_NOARGS, "The object as a buffer."},
                         {nullptr}};
PyMemberDef members[] = {
    {"_wrapped", T_OBJECT, offsetof(IsqlquoteObject, wrapped), READONLY, nullptr}, {nullptr}};
PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The protocol of objects whose getquoted() gives SQL.")},
    {Py_tp_new, reinterpret_cast<void*>(isqlquote_make)},
    {Py_tp_init, reinterpret_cast<void*>(isqlquote_init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(isqlquote_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(isqlquote_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(isqlquote_clear)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, nullptr}};
PyType_Spec spec = {
    "psycoev.extensions.ISQLQuote", sizeof(IsqlquoteObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    slots};

}  // namespace

bool add_isqlquote(PyObject* module) {
  isqlquote_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return isqlquote_type != nullptr && PyModule_AddType(module, isqlquote_type) == 0;
}

}  // namespace psycoev::values
