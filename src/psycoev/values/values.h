// What the module has from values: exceptions, typecasters, adapters, their registries.
#pragma once

#include "python.h"

namespace psycoev::values {

// Adds the types, the objects and the functions (adapt, register_type, new_type, new_array_type,
// quote_ident, ...) to the module. Called once, before everything else of the module. False with
// an exception set.
[[nodiscard]] bool add_to_module(PyObject* module);

}  // namespace psycoev::values
