#include "python/base/retarget.h"

#include <unordered_map>
#include <utility>

#include "python/base/arguments.h"
#include "python/base/current_state.h"
#include "python/base/ref.h"

namespace coev::python {
namespace {

constexpr int kSignature =
    METH_NOARGS | METH_O | METH_VARARGS | METH_KEYWORDS | METH_FASTCALL | METH_METHOD;

// Which of retarget()'s adapters fits; kUnknownSignature for a signature CPython does not have.
int adapter_for(int flags) noexcept {
  switch (flags & kSignature) {
    case METH_NOARGS:
      return 0;
    case METH_O:
      return 1;
    case METH_VARARGS:
      return 2;
    case METH_VARARGS | METH_KEYWORDS:
      return 3;
    case METH_FASTCALL:
      return 4;
    case METH_FASTCALL | METH_KEYWORDS:
      return 5;
    case METH_METHOD | METH_FASTCALL | METH_KEYWORDS:
      return 6;
    default:
      return kUnknownSignature;
  }
}

// Borrowed; nullptr if there is none.
PyObject* find(PyObject* owner, const char* name) noexcept {
  PyObject* namespace_dict = PyType_Check(owner) ? reinterpret_cast<PyTypeObject*>(owner)->tp_dict
                                                 : PyModule_GetDict(owner);
  if (namespace_dict == nullptr) return nullptr;  // a type that is part of the interpreter
  return PyDict_GetItemString(namespace_dict, name);
}

PyMethodDescrObject* as_descriptor(PyObject* found) noexcept {
  const bool is_one = found != nullptr && Py_IS_TYPE(found, &PyMethodDescr_Type);
  return is_one ? reinterpret_cast<PyMethodDescrObject*>(found) : nullptr;
}

PyCFunctionObject* as_function(PyObject* found) noexcept {
  const bool is_one = found != nullptr && PyCFunction_Check(found);
  return is_one ? reinterpret_cast<PyCFunctionObject*>(found) : nullptr;
}

PyMethodDef* definition_of(PyObject* found) noexcept {
  if (const PyMethodDescrObject* descriptor = as_descriptor(found)) return descriptor->d_method;
  const PyCFunctionObject* function = as_function(found);
  return function != nullptr ? function->m_ml : nullptr;
}

// --- hashes: of a function's C function, which sets and dicts made before remember ----

hashfunc g_hash_of_function = nullptr;

std::unordered_map<PyCFunction, PyCFunction>& replaced_functions() noexcept {
  static auto* const functions = new std::unordered_map<PyCFunction, PyCFunction>;
  return *functions;
}

Py_hash_t hash_as_before(PyObject* object) {
  auto* function = reinterpret_cast<PyCFunctionObject*>(object);
  const auto found = replaced_functions().find(function->m_ml->ml_meth);
  if (found == replaced_functions().end()) return g_hash_of_function(object);
  PyMethodDef before = *function->m_ml;
  before.ml_meth = found->second;
  PyMethodDef* const now = std::exchange(function->m_ml, &before);
  const Py_hash_t hash = g_hash_of_function(object);
  function->m_ml = now;
  return hash;
}

void keep_hash(PyCFunction original, PyCFunction replacement) noexcept {
  replaced_functions()[replacement] = original;
  if (g_hash_of_function != nullptr) return;
  g_hash_of_function = PyCFunction_Type.tp_hash;
  PyCFunction_Type.tp_hash = PyCMethod_Type.tp_hash = hash_as_before;
}

void*& slot_at(PyTypeObject* type, std::size_t offset) noexcept {
  return *reinterpret_cast<void**>(reinterpret_cast<char*>(type) + offset);
}

PyInterpreterState* g_ours = PyInterpreterState_Main();

bool replace_inherited(PyTypeObject* type, std::size_t offset, void* original,
                       void* replacement) noexcept {
  if (slot_at(type, offset) != original) return true;
  slot_at(type, offset) = replacement;
  const Ref subclasses =
      Ref::steal(PyObject_CallMethod(reinterpret_cast<PyObject*>(type), "__subclasses__", nullptr));
  if (!subclasses) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(subclasses.get()); ++i) {
    auto* subclass = reinterpret_cast<PyTypeObject*>(PyList_GET_ITEM(subclasses.get(), i));
    if (!replace_inherited(subclass, offset, original, replacement)) return false;
  }
  return true;
}

}  // namespace

bool adapter::in_subinterpreter() noexcept { return current_state::get()->interp != g_ours; }
void adapter::leave_interpreter() noexcept { g_ours = nullptr; }

PyObject* adapter::call_with_dict(Replacement dispatched, PyObject* self, PyObject* arguments,
                                  PyObject* keywords) noexcept {
  const Py_ssize_t positional = PyTuple_GET_SIZE(arguments);
  const Py_ssize_t named = PyDict_GET_SIZE(keywords);
  const Ref values = Ref::steal(PyTuple_New(positional + named));
  const Ref names = Ref::steal(PyTuple_New(named));
  if (!values || !names) return nullptr;
  for (Py_ssize_t i = 0; i < positional; ++i) {
    PyTuple_SET_ITEM(values.get(), i, Py_NewRef(PyTuple_GET_ITEM(arguments, i)));
  }
  Py_ssize_t position = 0;
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t i = 0; PyDict_Next(keywords, &position, &name, &value); ++i) {
    PyTuple_SET_ITEM(names.get(), i, Py_NewRef(name));
    PyTuple_SET_ITEM(values.get(), positional + i, Py_NewRef(value));
  }
  return dispatched(self, &PyTuple_GET_ITEM(values.get(), 0), positional, names.get());
}

PyObject* adapter::call_with_tuple(PyObject* function, PyObject* const* arguments,
                                   std::size_t count, PyObject* keywords) noexcept {
  const Py_ssize_t positional = PyVectorcall_NARGS(count);
  const Ref tuple = pack(arguments, positional);
  const Ref dict = tuple ? pack_keywords(arguments + positional, keywords) : Ref();
  return dict ? Py_TYPE(function)->tp_call(function, tuple.get(), dict.get()) : nullptr;
}

// A module that is loaded again, or in a subinterpreter, has a class of its own
// that shares our table.
PyTypeObject* Original::defining_class(PyObject* self) const noexcept {
  if (Py_IS_TYPE(self, defining_class_)) return defining_class_;
  PyObject* mro = Py_TYPE(self)->tp_mro;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); ++i) {
    PyObject* type = PyTuple_GET_ITEM(mro, i);
    if (definition_of(find(type, definition_.ml_name)) == entry_) {
      return reinterpret_cast<PyTypeObject*>(type);
    }
  }
  return defining_class_;
}

PyObject* Original::operator()(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                               PyObject* keywords) const noexcept {
  void (*const erased)() = reinterpret_cast<void (*)()>(definition_.ml_meth);
  switch (adapter_for(definition_.ml_flags)) {
    case 0:
      return definition_.ml_meth(self, nullptr);
    case 1:
      return definition_.ml_meth(self, arguments[0]);
    case 2: {
      const Ref tuple = pack(arguments, count);
      return tuple ? definition_.ml_meth(self, tuple.get()) : nullptr;
    }
    case 3: {
      const Ref tuple = pack(arguments, count);
      const Ref dict = keywords == nullptr ? Ref() : pack_keywords(arguments + count, keywords);
      if (!tuple || (keywords != nullptr && !dict)) return nullptr;
      return reinterpret_cast<PyCFunctionWithKeywords>(erased)(self, tuple.get(), dict.get());
    }
    case 4:
      return reinterpret_cast<PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t)>(erased)(
          self, arguments, count);
    case 5:
      return reinterpret_cast<Replacement>(erased)(self, arguments, count, keywords);
    default:
      return reinterpret_cast<PyCMethod>(erased)(self, defining_class(self), arguments,
                                                 static_cast<size_t>(count), keywords);
  }
}

PyObject* Original::as_function() const noexcept { return PyCFunction_New(&definition_, module_); }

PyObject* Original::bound_to(PyObject* self) const noexcept {
  return PyCFunction_New(&definition_, self);
}

int retarget(PyObject* owner, const char* name, const Adapters& adapters,
             Original* original) noexcept {
  PyObject* found = find(owner, name);
  PyMethodDef* definition = definition_of(found);
  if (definition == nullptr) return kAbsent;
  const int signature = adapter_for(definition->ml_flags);
  if (signature < 0) {
    PyErr_Format(PyExc_ImportError, "coev does not know the signature of %s in %R", name, owner);
    return kUnknownSignature;
  }
  original->definition_ = *definition;
  original->entry_ = definition;
  original->module_ = owner;
  if (PyType_Check(owner)) original->defining_class_ = reinterpret_cast<PyTypeObject*>(owner);
  keep_hash(definition->ml_meth, adapters.functions[signature]);
  definition->ml_meth = adapters.functions[signature];
  if (signature == 2 || signature == 3) {
    if (PyMethodDescrObject* descriptor = as_descriptor(found)) {
      original->vectorcall_ =
          std::exchange(descriptor->vectorcall, adapters.by_descriptor[signature - 2]);
    } else {
      as_function(found)->vectorcall = adapters.by_function[signature - 2];
    }
  }
  return signature;
}

bool retarget_slot(PyTypeObject* type, const char* name, std::size_t offset, void* replacement,
                   void** original) noexcept {
  PyObject* descriptor =
      type->tp_dict == nullptr ? nullptr : PyDict_GetItemString(type->tp_dict, name);
  if (descriptor == nullptr || !Py_IS_TYPE(descriptor, &PyWrapperDescr_Type)) {
    PyErr_Format(PyExc_ImportError, "coev does not know the %s of %R", name, type);
    return false;
  }
  *original = slot_at(type, offset);
  reinterpret_cast<PyWrapperDescrObject*>(descriptor)->d_wrapped = replacement;
  return replace_inherited(type, offset, *original, replacement);
}

}  // namespace coev::python
