// extensions.Notify: what NOTIFY has sent to a channel.
#pragma once

#include "python.h"

namespace psycoev::objects {

[[nodiscard]] bool add_notify(PyObject* module);

}  // namespace psycoev::objects
