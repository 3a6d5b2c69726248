// Functions of the module about connecting: connection strings, passwords, the wait callback.
#pragma once

#include "python.h"

namespace psycoev::types {

extern PyMethodDef kModuleFunctions[];

}  // namespace psycoev::types
