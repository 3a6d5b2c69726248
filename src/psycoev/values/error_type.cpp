#include "values/error_type.h"

#include "members.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

ErrorObject* as_error(PyObject* object) { return reinterpret_cast<ErrorObject*>(object); }

PyTypeObject* exception_base() { return reinterpret_cast<PyTypeObject*>(PyExc_Exception); }

int error_traverse(PyObject* object, visitproc visit, void* arg) {
  ErrorObject* self = as_error(object);
  Py_VISIT(self->cursor);
  return exception_base()->tp_traverse(object, visit, arg);
}

int error_clear(PyObject* object) {
  ErrorObject* self = as_error(object);
  Py_CLEAR(self->pgerror);
  Py_CLEAR(self->pgcode);
  Py_CLEAR(self->cursor);
  codec_clear(self->codec);
  return exception_base()->tp_clear(object);
}

void error_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  ErrorObject* self = as_error(object);
  PQclear(std::exchange(self->result, nullptr));
  error_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* error_diag(PyObject* object, void*) { return diagnostics_new(object); }

// pickle: the class, the arguments, and what the server said. Cursor and diag stay behind.
PyObject* error_reduce(PyObject* object, PyObject*) {
  const ErrorObject* self = as_error(object);
  const Ref attributes(PyObject_GenericGetDict(object, nullptr));
  if (!attributes) return nullptr;
  const Ref state(PyDict_Copy(attributes.get()));
  if (!state) return nullptr;
  if (self->pgerror && PyDict_SetItemString(state.get(), "pgerror", self->pgerror) < 0) {
    return nullptr;
  }
  if (self->pgcode && PyDict_SetItemString(state.get(), "pgcode", self->pgcode) < 0) {
    return nullptr;
  }
  return PyTuple_Pack(3, Py_TYPE(object), self->base.args, state.get());
}

// Moves state[name] into a member; what is left in the state are attributes of the program.
bool take(PyObject* state, const char* name, PyObject** member) {
  const Ref key(PyUnicode_FromString(name));
  if (!key) return false;
  PyObject* value = PyDict_GetItemWithError(state, key.get());
  if (value == nullptr) {
    if (PyErr_Occurred()) return false;
    Py_CLEAR(*member);
    return true;
  }
  Py_XSETREF(*member, Py_NewRef(value));
  return PyDict_DelItem(state, key.get()) == 0;
}

PyObject* error_setstate(PyObject* object, PyObject* state) {
  if (state == Py_None) Py_RETURN_NONE;
  if (!PyDict_Check(state)) {
    PyErr_SetString(PyExc_TypeError, "state is not a dictionary");
    return nullptr;
  }
  ErrorObject* self = as_error(object);
  const Ref rest(PyDict_Copy(state));
  if (!rest || !take(rest.get(), "pgerror", &self->pgerror) ||
      !take(rest.get(), "pgcode", &self->pgcode)) {
    return nullptr;
  }
  Py_CLEAR(self->cursor);
  const Ref attributes(PyObject_GenericGetDict(object, nullptr));
  if (!attributes || PyDict_Update(attributes.get(), rest.get()) < 0) return nullptr;
  Py_RETURN_NONE;
}

PyMemberDef error_members[] = {
    {"pgerror", T_OBJECT, offsetof(ErrorObject, pgerror), READONLY,
     "The message of the server, with its severity, or None."},
    {"pgcode", T_OBJECT, offsetof(ErrorObject, pgcode), READONLY, "The SQLSTATE code, or None."},
    {"cursor", T_OBJECT, offsetof(ErrorObject, cursor), READONLY,
     "The cursor that raised the exception, or None."},
    {nullptr}};

PyGetSetDef error_getset[] = {
    {"diag", error_diag, nullptr, "All that the server said of the error: a Diagnostics.", nullptr},
    {nullptr}};

PyMethodDef error_methods[] = {{"__reduce__", error_reduce, METH_NOARGS, nullptr},
                               {"__setstate__", error_setstate, METH_O, nullptr},
                               {nullptr}};

PyType_Slot error_slots[] = {{Py_tp_doc, const_cast<char*>("Base class for error exceptions.")},
                             {Py_tp_dealloc, reinterpret_cast<void*>(error_dealloc)},
                             {Py_tp_traverse, reinterpret_cast<void*>(error_traverse)},
                             {Py_tp_clear, reinterpret_cast<void*>(error_clear)},
                             {Py_tp_members, error_members},
                             {Py_tp_getset, error_getset},
                             {Py_tp_methods, error_methods},
                             {0, nullptr}};

PyType_Spec error_spec = {"psycoev.Error", sizeof(ErrorObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                          error_slots};

}  // namespace

PyObject* make_error_type() { return PyType_FromSpecWithBases(&error_spec, PyExc_Exception); }

}  // namespace psycoev::values
