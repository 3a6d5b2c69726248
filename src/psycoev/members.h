// PyMemberDef's constants (T_OBJECT, READONLY): before Python 3.12 their header must come after
// Python.h.
#pragma once

// clang-format off
#include "python.h"
#include <structmember.h>
// clang-format on
