// extensions.Xid: the id of a two-phase transaction (PEP 249, ".xid()").
#pragma once

#include "python.h"

namespace psycoev::objects {

[[nodiscard]] bool add_xid(PyObject* module);

}  // namespace psycoev::objects
