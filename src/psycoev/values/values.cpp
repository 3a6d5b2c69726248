#include "values/values.h"

#include "values/adapter.h"
#include "values/casts.h"
#include "values/encoding.h"
#include "values/error.h"
#include "values/quoting.h"
#include "values/typecaster.h"

namespace psycoev::values {

bool add_to_module(PyObject* module) {
  return add_errors(module) && add_encodings(module) && prepare_numbers() && prepare_dates() &&
         prepare_bytea() && make_typecaster_type() && add_typecasters(module) &&
         add_adapters(module) && add_quoting(module);
}

}  // namespace psycoev::values
