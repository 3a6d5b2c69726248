// extensions.lobject: one large object of the server, read and written like a file.
#pragma once

#include "python.h"

namespace psycoev::objects {

[[nodiscard]] bool add_lobject(PyObject* module);

}  // namespace psycoev::objects
