// SQLSTATE codes and the exception classes of psycoev.errors.
#pragma once

#include "python.h"

namespace psycoev::values {

// Makes the classes and adds the dict `sqlstate_errors`: code -> class. REQUIRES: the tree of
// values/error.h stands. False with an exception set.
[[nodiscard]] bool add_sqlstates(PyObject* module);

// The class for a code, borrowed: the code's own, else that of the code's first two characters.
[[nodiscard]] PyObject* exception_of_sqlstate(const char* sqlstate);

}  // namespace psycoev::values
