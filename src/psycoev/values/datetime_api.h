// datetime's C API. Its header must come after Python.h and gives every file a pointer of its own,
// which import_datetime() fills.
#pragma once

// clang-format off
#include "python.h"
#include <datetime.h>
// clang-format on

namespace psycoev::values {

// False with an exception set.
[[nodiscard]] static inline bool import_datetime() {
  if (PyDateTimeAPI == nullptr) PyDateTime_IMPORT;
  return PyDateTimeAPI != nullptr;
}

}  // namespace psycoev::values
