// Python.h, with lengths that are Py_ssize_t; every file gets it from here first.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
