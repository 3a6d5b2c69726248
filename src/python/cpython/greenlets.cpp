#include "python/cpython/greenlets.h"

#include <Python.h>

#include "python/base/library_variables.h"
#include "python/base/module_hook.h"
#include "python/base/ref.h"

namespace coev::python::greenlets {
namespace {

PyObject* g_getcurrent = nullptr;

Ref current() noexcept { return Ref::steal(PyObject_CallNoArgs(g_getcurrent)); }

// A thread has a main greenlet of its own, and finds it again.
bool are_all_that_makes_a_thread(library_variables::Fresh fresh) noexcept {
  const Ref own = current();
  fresh(true);
  const Ref of_other = current();
  fresh(false);
  const Ref again = current();
  PyErr_Clear();
  return own && of_other && again && own.get() == again.get() && own.get() != of_other.get();
}

bool found(PyObject* module) noexcept {
  const Ref getcurrent = Ref::steal(PyObject_GetAttrString(module, "getcurrent"));
  if (!getcurrent || !PyCFunction_Check(getcurrent.get())) {
    PyErr_Clear();
    return true;
  }
  g_getcurrent = Py_NewRef(getcurrent.get());
  const void* inside = reinterpret_cast<const void*>(PyCFunction_GetFunction(getcurrent.get()));
  if (library_variables::take(inside, are_all_that_makes_a_thread)) return true;
  return PyErr_WarnEx(PyExc_RuntimeWarning,
                      "coev cannot give each coroutine greenlets of its own here: only one "
                      "coroutine may use greenlet",
                      1) == 0;
}

}  // namespace

bool install() noexcept { return when_loaded("greenlet._greenlet", found); }

}  // namespace coev::python::greenlets
