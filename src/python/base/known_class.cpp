#include "python/base/known_class.h"

#include "python/base/ref.h"

namespace coev::python {

bool KnownClass::learn(PyTypeObject* type, PyObject* names) noexcept {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    PyObject* value = PyObject_GetAttr(reinterpret_cast<PyObject*>(type), name);
    if (value == nullptr) return false;
    attributes_.push_back({Py_NewRef(name), value});
  }
  type_ = reinterpret_cast<PyTypeObject*>(Py_NewRef(type));
  return true;
}

bool KnownClass::is_as_learnt() noexcept {
  for (const Attribute& attribute : attributes_) {
    const Ref value =
        Ref::steal(PyObject_GetAttr(reinterpret_cast<PyObject*>(type_), attribute.name));
    PyErr_Clear();
    if (value.get() != attribute.value) return false;
  }
  version_ = type_->tp_version_tag;
  return true;
}

}  // namespace coev::python
