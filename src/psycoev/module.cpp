// The extension module psycoev._psycopg: its layers, from the bottom up.
#include "libpq.h"
#include "objects/objects.h"
#include "session/api.h"
#include "types/connection_type.h"
#include "types/cursor_type.h"
#include "types/module_functions.h"
#include "types/pipeline.h"
#include "types/replication_type.h"
#include "values/values.h"

namespace psycoev {
namespace {

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "_psycopg",
                          "PostgreSQL's libpq, waiting through coev.",
                          -1,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

bool fill(PyObject* module) {
  return values::add_to_module(module) && types::add_connection(module) &&
         types::add_cursor(module) && types::add_pipeline(module) &&
         types::add_replication_connection(module) && types::add_replication_cursor(module) &&
         types::add_replication_message(module) && objects::add_to_module(module) &&
         PyModule_AddFunctions(module, types::kModuleFunctions) == 0 &&
         PyModule_AddIntConstant(module, "__libpq_version__", PQlibVersion()) == 0;
}

}  // namespace
}  // namespace psycoev

PyMODINIT_FUNC PyInit__psycopg() {  // NOLINT(bugprone-reserved-identifier): CPython's name
  using namespace psycoev;
  coev = coev_import();
  if (coev == nullptr) return nullptr;
  Ref module(PyModule_Create(&definition));
  if (!module || !fill(module.get())) return nullptr;
  return module.release();
}
