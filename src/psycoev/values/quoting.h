// quote_ident() of the module; quote_literal() and quote_identifier() stand in values/adapt.h.
#pragma once

#include "python.h"

namespace psycoev::values {

[[nodiscard]] bool add_quoting(PyObject* module);

}  // namespace psycoev::values
