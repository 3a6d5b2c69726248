// extensions.Column: one item of cursor.description (PEP 249, ".description").
#pragma once

#include "cursor.h"

namespace psycoev::objects {

[[nodiscard]] bool add_column(PyObject* module);

}  // namespace psycoev::objects
