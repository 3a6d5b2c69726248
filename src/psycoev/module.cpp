// The extension module psycoev._psycopg.
#include "python.h"

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

}  // namespace

PyMODINIT_FUNC PyInit__psycopg() { return PyModule_Create(&definition); }
