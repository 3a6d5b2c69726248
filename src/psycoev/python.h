// CPython's API, and the owning references of this extension. No version tests here or anywhere.
#pragma once

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#include <utility>

namespace psycoev {

// An owned reference, or none. Never copied: pass it on with std::move or release().
class Ref {
 public:
  Ref() noexcept = default;
  // Takes over the caller's reference; null stands for "an exception is set".
  explicit Ref(PyObject* owned) noexcept : object_(owned) {}
  Ref(Ref&& other) noexcept : object_(other.release()) {}
  Ref& operator=(Ref&& other) noexcept {
    reset(other.release());
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  [[nodiscard]] static Ref borrowed(PyObject* object) noexcept { return Ref(Py_XNewRef(object)); }

  [[nodiscard]] PyObject* get() const noexcept { return object_; }
  [[nodiscard]] PyObject* release() noexcept { return std::exchange(object_, nullptr); }
  // The old object goes after the new one stands: its destructor may run Python code.
  void reset(PyObject* owned = nullptr) noexcept {
    PyObject* old = std::exchange(object_, owned);
    Py_XDECREF(old);
  }
  explicit operator bool() const noexcept { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// Keeps the exception that is set over code that may raise another one, which is dropped.
class SavedException {
 public:
  SavedException() noexcept { PyErr_Fetch(&type_, &value_, &traceback_); }
  SavedException(const SavedException&) = delete;
  SavedException& operator=(const SavedException&) = delete;
  ~SavedException() { PyErr_Restore(type_, value_, traceback_); }

 private:
  PyObject* type_;
  PyObject* value_;
  PyObject* traceback_;
};

// What goes into a PyMethodDef, whatever the calling convention.
template <typename Function>
PyCFunction method(Function* function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

}  // namespace psycoev
