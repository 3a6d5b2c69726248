// Module hooks: what is to be done to an extension module when it is there.
//
// Importing coev.monkey must not import what the program does not. So a module
// that is not loaded yet is dealt with at the end of its loading, by way of the
// function of _imp that all of them pass. Nothing shows: no finder, no loader.
#pragma once

#include <Python.h>

namespace coev::python {

// Called with the module filled; false with an exception set, which the import
// then raises. A module that is loaded again has a call for each copy.
using ModuleHook = bool (*)(PyObject* module);

// Calls `hook` for the module, at once if it is loaded, or else when it is.
// `name` is kept. False with an exception set.
[[nodiscard]] bool when_loaded(const char* name, ModuleHook hook) noexcept;

// Calls `hook` with each extension module that is loaded from now on, after the hooks for
// its name. False with an exception set.
[[nodiscard]] bool when_anything_loaded(ModuleHook hook) noexcept;

}  // namespace coev::python
