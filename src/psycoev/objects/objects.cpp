#include "objects/objects.h"

#include "objects/column.h"
#include "objects/lobject.h"
#include "objects/notify.h"
#include "objects/xid.h"

namespace psycoev::objects {

bool add_to_module(PyObject* module) {
  return add_column(module) && add_notify(module) && add_xid(module) && add_lobject(module);
}

}  // namespace psycoev::objects
