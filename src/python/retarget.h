// Retargeting: makes an existing built-in function or method run our code.
//
// The function object, the type it belongs to and every reference to either,
// also bound methods and names imported long ago, stay what they were: only the
// C function that the method table names is another one. The table is the
// interpreter's own and writable; its signature flags are kept, and an adapter
// for each signature calls the replacement.
#pragma once

#include <Python.h>

namespace coev::python {

// Every replacement has this one signature, whatever the original's.
using Replacement = PyObject* (*)(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                  PyObject* keywords);

// The original, callable at any time.
class Original {
 public:
  // Positional arguments only. New reference or nullptr.
  PyObject* operator()(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords = nullptr) const noexcept;
  PyObject* operator()(PyObject* self) const noexcept { return (*this)(self, nullptr, 0); }
  // A Python function that calls it; new reference or nullptr.
  [[nodiscard]] PyObject* as_function() const noexcept;
  explicit operator bool() const noexcept { return definition_.ml_meth != nullptr; }

 private:
  friend bool retarget(PyObject*, const char*, PyCFunction[7], Original*) noexcept;
  mutable PyMethodDef definition_{};
  PyObject* module_ = nullptr;           // of a function; borrowed: modules of C stay
  PyTypeObject* defining_class_ = nullptr;  // for METH_METHOD
};

namespace adapter {

template <Replacement replacement>
PyObject* no_arguments(PyObject* self, PyObject*) {
  return replacement(self, nullptr, 0, nullptr);
}
template <Replacement replacement>
PyObject* one(PyObject* self, PyObject* argument) {
  return replacement(self, &argument, 1, nullptr);
}
template <Replacement replacement>
PyObject* tuple(PyObject* self, PyObject* arguments) {
  return replacement(self, &PyTuple_GET_ITEM(arguments, 0), PyTuple_GET_SIZE(arguments), nullptr);
}
PyObject* call_with_dict(Replacement replacement, PyObject* self, PyObject* arguments,
                         PyObject* keywords) noexcept;
template <Replacement replacement>
PyObject* tuple_and_dict(PyObject* self, PyObject* arguments, PyObject* keywords) {
  if (keywords == nullptr || PyDict_GET_SIZE(keywords) == 0) return tuple<replacement>(self, arguments);
  return call_with_dict(replacement, self, arguments, keywords);
}
template <Replacement replacement>
PyObject* fast(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  return replacement(self, arguments, count, nullptr);
}
template <Replacement replacement>
PyObject* method(PyObject* self, PyTypeObject*, PyObject* const* arguments, Py_ssize_t count,
                 PyObject* keywords) {
  return replacement(self, arguments, count, keywords);
}

}  // namespace adapter

// Retargets `name` of `owner`, a module or a type. `*original` is set before the
// replacement can be called. True also if `owner` has no such built-in function:
// `*original` is then empty. False with an exception set.
bool retarget(PyObject* owner, const char* name, PyCFunction adapters[7],
              Original* original) noexcept;

template <Replacement replacement>
bool retarget(PyObject* owner, const char* name, Original* original) noexcept {
  using namespace adapter;
  const auto erase = [](auto* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
  };
  PyCFunction adapters[7] = {erase(no_arguments<replacement>), erase(one<replacement>),
                             erase(tuple<replacement>),        erase(tuple_and_dict<replacement>),
                             erase(fast<replacement>),         erase(replacement),
                             erase(method<replacement>)};
  return retarget(owner, name, adapters, original);
}

}  // namespace coev::python
