// The extension module coev._coev: puts the parts together.

#include <Python.h>

#include "core/time.h"
#include "python/api/api.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/capsule/capsule.h"
#include "python/cpython/greenlets.h"
#include "python/cpython/thread_state.h"
#include "python/lifecycle.h"
#include "python/monkey/monkey.h"
#include "python/waiting/signals.h"

namespace coev::python {
namespace {

PyObject* function_virtual_time(PyObject*, PyObject* on) {
  const int enable = PyObject_IsTrue(on);
  if (enable < 0) return nullptr;
  virtual_time::enable(enable != 0);
  Py_RETURN_NONE;
}

PyObject* function_now(PyObject*, PyObject*) {
  return PyFloat_FromDouble(static_cast<double>(now_ns()) * 1e-9);
}

PyObject* function_in_main_interpreter(PyObject*, PyObject*) {
  return PyBool_FromLong(PyInterpreterState_Get() == PyInterpreterState_Main());
}

PyObject* function_on_main_os_thread(PyObject*, PyObject*) {
  return PyBool_FromLong(thread_state::on_main_os_thread());
}

PyObject* function_swaps_by_gil(PyObject*, PyObject*) {
  return PyBool_FromLong(thread_state::swaps_by_gil());
}

PyMethodDef module_functions[] = {
    {"_virtual_time", function_virtual_time, METH_O,
     "For tests: the clock stands still, and moves to the next deadline when all wait."},
    {"_now", function_now, METH_NOARGS, "Seconds of coev's clock, real or virtual."},
    {"_in_main_interpreter", function_in_main_interpreter, METH_NOARGS, nullptr},
    {"_on_main_os_thread", function_on_main_os_thread, METH_NOARGS, nullptr},
    {"_swaps_by_gil", function_swaps_by_gil, METH_NOARGS,
     "Whether a switch on this OS thread gives up the GIL and takes it again."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "coev._coev",
                          nullptr,
                          -1,
                          module_functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

bool fill(PyObject* module) noexcept {
  install_hooks();
  thread_state::ensure_scheduler();
  return PyModule_AddFunctions(module, lifecycle_functions) == 0 && add_api(module) &&
         add_capsule(module) && monkey::add_functions(module) && signals::install() &&
         greenlets::install();
}

bool g_has_ended = false;

// What was changed in memory that CPython uses for all interpreters stays as it is.
void interpreter_ended() {
  g_has_ended = true;
  adapter::leave_interpreter();
  thread_state::forget_interpreter();
}

// False with an exception set.
bool may_load() noexcept {
  if (g_has_ended) {
    PyErr_SetString(PyExc_ImportError,
                    "coev serves one interpreter in a process: it cannot be imported again after "
                    "Py_FinalizeEx()");
    return false;
  }
  static const int registered = Py_AtExit(interpreter_ended);
  static_cast<void>(registered);
  return true;
}

}  // namespace
}  // namespace coev::python

PyMODINIT_FUNC PyInit__coev() {  // NOLINT(bugprone-reserved-identifier): CPython's name
  using namespace coev::python;
  if (!may_load() || !thread_state::initialize()) return nullptr;
  Ref module = Ref::steal(PyModule_Create(&definition));
  if (!module || !fill(module.get())) return nullptr;
  return module.release();
}
