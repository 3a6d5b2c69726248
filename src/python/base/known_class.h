// KnownClass: a class written in Python of which we know what its methods do, for as
// long as nobody changes it.
#pragma once

#include <Python.h>

#include <vector>

namespace coev::python {

class KnownClass {
 public:
  // What the class has now is what it should have. `names`, a tuple, are the attributes
  // that matter. All is kept for ever. False with an exception set.
  bool learn(PyTypeObject* type, PyObject* names) noexcept;

  // Whether `type` is the class and nobody has changed it.
  [[nodiscard]] bool is(const void* type) noexcept {
    if (type != type_ || type == nullptr) return false;
    return (type_->tp_version_tag == version_ && version_ != 0) || is_as_learnt();
  }
  [[nodiscard]] PyTypeObject* type() const noexcept { return type_; }

 private:
  struct Attribute {
    PyObject* name;
    PyObject* value;
  };

  // CPython gives a class another version with each change of it or of its bases.
  bool is_as_learnt() noexcept;

  PyTypeObject* type_ = nullptr;
  unsigned version_ = 0;  // the last that was found to be as it should; 0: none
  std::vector<Attribute> attributes_;
};

}  // namespace coev::python
