#include "python/base/module_hook.h"

#include <string_view>
#include <vector>

#include "python/base/ref.h"
#include "python/base/retarget.h"

namespace coev::python {
namespace {

struct Hooked {
  std::string_view name;  // empty: any
  ModuleHook hook;
};

std::vector<Hooked>& hooks() noexcept {
  static auto* const all = new std::vector<Hooked>;
  return *all;
}

// Of shared objects, and of what is linked into the interpreter.
Original g_exec_dynamic;
Original g_exec_builtin;

bool run_hooks(PyObject* module) noexcept {
  const Ref name = Ref::steal(PyModule_GetNameObject(module));
  const char* text = name ? PyUnicode_AsUTF8(name.get()) : nullptr;
  if (text == nullptr) {
    PyErr_Clear();  // not one of those we know
    return true;
  }
  for (const Hooked& hooked : hooks()) {
    if ((hooked.name == text || hooked.name.empty()) && !hooked.hook(module)) return false;
  }
  return true;
}

template <Original* original>
PyObject* replaced_exec(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  Ref result = Ref::steal((*original)(self, arguments, count, keywords));
  if (!result || count != 1 || !PyModule_Check(arguments[0])) return result.release();
  return run_hooks(arguments[0]) ? result.release() : nullptr;
}

bool install() noexcept {
  if (g_exec_dynamic) return true;
  const Ref imp = Ref::steal(PyImport_ImportModule("_imp"));
  return imp &&
         retarget<replaced_exec<&g_exec_dynamic>>(imp.get(), "exec_dynamic", &g_exec_dynamic) &&
         retarget<replaced_exec<&g_exec_builtin>>(imp.get(), "exec_builtin", &g_exec_builtin);
}

}  // namespace

bool when_loaded(const char* name, ModuleHook hook) noexcept {
  if (!install()) return false;
  hooks().push_back({name, hook});
  PyObject* loaded = PyDict_GetItemString(PyImport_GetModuleDict(), name);  // borrowed
  if (loaded == nullptr || !PyModule_Check(loaded)) return true;
  const Ref module = Ref::borrow(loaded);
  return hook(module.get());
}

bool when_anything_loaded(ModuleHook hook) noexcept {
  if (!install()) return false;
  hooks().push_back({"", hook});
  return true;
}

}  // namespace coev::python
