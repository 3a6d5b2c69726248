// An owned reference to a Python object.
#ifndef CQSL_REF_H
#define CQSL_REF_H

#include <Python.h>

#include <utility>

namespace cqsl {

class Ref {
 public:
  Ref() noexcept = default;
  // OWNS: takes over the reference; nullptr is allowed and means "an exception is set".
  explicit Ref(PyObject* object) noexcept : object_(object) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  [[nodiscard]] PyObject* get() const noexcept { return object_; }
  [[nodiscard]] PyObject* release() noexcept { return std::exchange(object_, nullptr); }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

}  // namespace cqsl

#endif  // CQSL_REF_H
