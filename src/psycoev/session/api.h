// coev's C API, for every file of this extension.
#pragma once

#include <coev/coev.h>

#include "python.h"

namespace psycoev {

extern const coev_api* coev;  // set before anything else of the module

}  // namespace psycoev
