// The type of extensions.INTEGER and its like: DB-API's type objects, which also cast values.
#pragma once

#include "cursor.h"

namespace psycoev::values {

// A cast in C. `data` is never null, and no zero byte ends it; `cursor` may be null where a program
// calls a typecaster by itself. Null with an exception set.
using Cast = PyObject* (*)(const char* data, Py_ssize_t size, CursorObject* cursor);

struct TypecasterObject {
  PyObject_HEAD PyObject* name;  // str
  PyObject* values;              // tuple of int: the oids that compare equal to it
  Cast cast;                     // of the built-in ones, else null
  bool gives_atoms;              // `cast` gives objects that refer to nothing
  PyObject* function;            // owned; called as function(str or None, cursor); null: none
  PyObject* base;                // owned; of an array: the typecaster of its elements; null: none
  char delimiter;                // of an array
};

extern PyTypeObject* typecaster_type;

[[nodiscard]] inline TypecasterObject* as_typecaster(PyObject* object) noexcept {
  return reinterpret_cast<TypecasterObject*>(object);
}
[[nodiscard]] inline bool is_typecaster(PyObject* object) noexcept {
  return Py_IS_TYPE(object, typecaster_type);
}

// New typecasters. `function` may be null or None, `name` and `values` are of their types.
[[nodiscard]] PyObject* typecaster_new(PyObject* name, PyObject* values, PyObject* function);
[[nodiscard]] PyObject* array_typecaster_new(PyObject* name, PyObject* values, PyObject* base,
                                             char delimiter);

// Makes the type. REQUIRES: called before anything else here.
[[nodiscard]] bool make_typecaster_type();

// Makes the built-in typecasters, string_types, binary_types and the functions
// new_type, new_array_type, register_type.
[[nodiscard]] bool add_typecasters(PyObject* module);

// Where the public registries are looked up: borrowed, null without an exception if none has it.
[[nodiscard]] PyObject* find_typecaster(CursorObject* cursor, PyObject* oid, bool binary);
// For an oid that no registry has; borrowed.
[[nodiscard]] PyObject* default_typecaster(bool binary);

}  // namespace psycoev::values
