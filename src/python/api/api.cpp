#include "python/api/api.h"

#include "python/api/coroutine_type.h"
#include "python/api/introspect.h"
#include "python/api/lock_types.h"
#include "python/api/queue_types.h"
#include "python/api/stream_type.h"
#include "python/api/switching.h"
#include "python/api/timeout_type.h"
#include "python/api/wait_functions.h"

namespace coev::python {

bool add_api(PyObject* module) noexcept {
  return PyModule_AddFunctions(module, switching_functions) == 0 &&
         PyModule_AddFunctions(module, waiting_functions) == 0 && add_coroutine_type(module) &&
         add_timeout_type(module) && add_lock_types(module) && add_queue_types(module) &&
         add_stream_type(module) && add_introspection(module);
}

}  // namespace coev::python
