// Retargeting: makes an existing built-in function or method run our code.
//
// The function object, the type it belongs to and every reference to either,
// also bound methods and names imported long ago, stay what they were: only the
// C function that the method table names is another one. The table is the
// interpreter's own and writable; its signature flags are kept, and an adapter
// for each signature calls the replacement.
//
// Subinterpreters share the table, though nothing of coev works in them: there
// the adapters call the original. So does an interpreter that a program initializes after the
// end of ours.
#pragma once

#include <Python.h>

#include <cstddef>

namespace coev::python {

// Every replacement has this one signature, whatever the original's.
using Replacement = PyObject* (*)(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                  PyObject* keywords);

// What may be put in place of an original, by its signature.
struct Adapters {
  PyCFunction functions[7];
  // Of one that takes a tuple, or a tuple and a dict, which a call then need not make.
  vectorcallfunc by_descriptor[2];
  vectorcallfunc by_function[2];
};

// The original, callable at any time.
class Original {
 public:
  // Positional arguments only. New reference or nullptr.
  PyObject* operator()(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords = nullptr) const noexcept;
  PyObject* operator()(PyObject* self) const noexcept { return (*this)(self, nullptr, 0); }
  // Whether it was made with its number of arguments, and so refuses another one.
  [[nodiscard]] bool counts_arguments() const noexcept {
    return (definition_.ml_flags & METH_VARARGS) == 0;
  }
  // A Python function that calls it; new reference or nullptr.
  [[nodiscard]] PyObject* as_function() const noexcept;
  // Of a method: the same, bound to `self`.
  [[nodiscard]] PyObject* bound_to(PyObject* self) const noexcept;
  explicit operator bool() const noexcept { return definition_.ml_meth != nullptr; }
  // How its descriptor in the type was called before, the object being the first argument.
  PyObject* call_descriptor(PyObject* method, PyObject* const* arguments, std::size_t count,
                            PyObject* keywords) const noexcept {
    return vectorcall_(method, arguments, count, keywords);
  }

 private:
  friend int retarget(PyObject*, const char*, const Adapters&, Original*) noexcept;
  [[nodiscard]] PyTypeObject* defining_class(PyObject* self) const noexcept;

  mutable PyMethodDef definition_{};
  const PyMethodDef* entry_ = nullptr;      // of the table
  PyObject* module_ = nullptr;              // of a function; borrowed: modules of C stay
  PyTypeObject* defining_class_ = nullptr;  // of a method, in the module we know
  vectorcallfunc vectorcall_ = nullptr;     // of a method's descriptor
};

namespace adapter {

// By signature: what the replacement stands for, where it must not run.
template <Replacement replacement>
inline const Original* originals[7] = {};

[[nodiscard]] bool in_subinterpreter() noexcept;
// From now on there are only others' interpreters.
void leave_interpreter() noexcept;

template <Replacement replacement, int signature>
PyObject* dispatch(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                   PyObject* keywords) {
  if (in_subinterpreter()) [[unlikely]] {
    return (*originals<replacement>[signature])(self, arguments, count, keywords);
  }
  return replacement(self, arguments, count, keywords);
}

template <Replacement replacement>
PyObject* no_arguments(PyObject* self, PyObject*) {
  return dispatch<replacement, 0>(self, nullptr, 0, nullptr);
}
template <Replacement replacement>
PyObject* one(PyObject* self, PyObject* argument) {
  return dispatch<replacement, 1>(self, &argument, 1, nullptr);
}
template <Replacement replacement>
PyObject* tuple(PyObject* self, PyObject* arguments) {
  return dispatch<replacement, 2>(self, &PyTuple_GET_ITEM(arguments, 0),
                                  PyTuple_GET_SIZE(arguments), nullptr);
}
PyObject* call_with_dict(Replacement dispatched, PyObject* self, PyObject* arguments,
                         PyObject* keywords) noexcept;
template <Replacement replacement>
PyObject* tuple_and_dict(PyObject* self, PyObject* arguments, PyObject* keywords) {
  constexpr Replacement kDispatch = dispatch<replacement, 3>;
  if (keywords == nullptr || PyDict_GET_SIZE(keywords) == 0) {
    return kDispatch(self, &PyTuple_GET_ITEM(arguments, 0), PyTuple_GET_SIZE(arguments), nullptr);
  }
  return call_with_dict(kDispatch, self, arguments, keywords);
}
// A descriptor is called with the object before the arguments.
template <Replacement replacement, int signature>
PyObject* descriptor(PyObject* method, PyObject* const* arguments, std::size_t count,
                     PyObject* keywords) {
  constexpr bool kTakesKeywords = signature == 3;
  const Py_ssize_t given = PyVectorcall_NARGS(count);
  const bool named = keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0;
  if (given == 0 || !PyObject_TypeCheck(arguments[0], PyDescr_TYPE(method)) ||
      (named && !kTakesKeywords)) [[unlikely]] {
    return originals<replacement>[signature] -> call_descriptor(method, arguments, count, keywords);
  }
  return dispatch<replacement, signature>(arguments[0], arguments + 1, given - 1,
                                          named ? keywords : nullptr);
}
// Calls `function`, or a class, by tp_call: with a tuple and a dict made of the arguments.
PyObject* call_with_tuple(PyObject* function, PyObject* const* arguments, std::size_t count,
                          PyObject* keywords) noexcept;
// A function of a module carries the module itself: it is called with the arguments alone.
template <Replacement replacement, int signature>
PyObject* function(PyObject* callable, PyObject* const* arguments, std::size_t count,
                   PyObject* keywords) {
  constexpr bool kTakesKeywords = signature == 3;
  const bool named = keywords != nullptr && PyTuple_GET_SIZE(keywords) > 0;
  if (named && !kTakesKeywords) [[unlikely]] {
    return call_with_tuple(callable, arguments, count, keywords);
  }
  return dispatch<replacement, signature>(PyCFunction_GET_SELF(callable), arguments,
                                          PyVectorcall_NARGS(count), named ? keywords : nullptr);
}
template <Replacement replacement>
PyObject* fast(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  return dispatch<replacement, 4>(self, arguments, count, nullptr);
}
template <Replacement replacement>
PyObject* method(PyObject* self, PyTypeObject*, PyObject* const* arguments, Py_ssize_t count,
                 PyObject* keywords) {
  return dispatch<replacement, 6>(self, arguments, count, keywords);
}

}  // namespace adapter

// Retargets `name` of `owner`, a module or a type. `*original` is set before the
// replacement can be called. The signature, an index into `adapters`; kAbsent if
// `owner` has no such built-in function: `*original` is then empty. kUnknownSignature with
// an exception set.
inline constexpr int kAbsent = -1;
inline constexpr int kUnknownSignature = -2;
int retarget(PyObject* owner, const char* name, const Adapters& adapters,
             Original* original) noexcept;

// False with an exception set. Used for two names of one signature, it must be
// the same original that they have.
template <Replacement replacement>
bool retarget(PyObject* owner, const char* name, Original* original) noexcept {
  using namespace adapter;
  const auto erase = [](auto* function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
  };
  const Adapters adapters = {
      {erase(no_arguments<replacement>), erase(one<replacement>), erase(tuple<replacement>),
       erase(tuple_and_dict<replacement>), erase(fast<replacement>),
       erase(dispatch<replacement, 5>), erase(method<replacement>)},
      {descriptor<replacement, 2>, descriptor<replacement, 3>},
      {function<replacement, 2>, function<replacement, 3>}};
  const int signature = retarget(owner, name, adapters, original);
  if (signature >= 0) originals<replacement>[signature] = original;
  return signature != kUnknownSignature;
}

// Does the same to a slot of `type`: also in the special method `name`, which
// calls it, and in the subclasses that inherited it. The replacement asks
// in_subinterpreter() itself. False with an exception set.
bool retarget_slot(PyTypeObject* type, const char* name, std::size_t offset, void* replacement,
                   void** original) noexcept;

template <typename Function>
bool retarget_slot(PyTypeObject* type, const char* name, Function PyTypeObject::*slot,
                   Function replacement, Function* original) noexcept {
  const auto offset = static_cast<std::size_t>(reinterpret_cast<char*>(&(type->*slot)) -
                                               reinterpret_cast<char*>(type));
  return retarget_slot(type, name, offset, reinterpret_cast<void*>(replacement),
                       reinterpret_cast<void**>(original));
}

}  // namespace coev::python
