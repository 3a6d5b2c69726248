// string_types and binary_types, the typecasters they begin with, and the functions around them.
#include <string>

#include "values/casts.h"
#include "values/error.h"
#include "values/typecaster.h"

namespace psycoev::values {
namespace {

PyObject* string_types;  // the public dicts, oid -> typecaster; owned by us and the module
PyObject* binary_types;
PyObject* text_typecaster;   // UNICODE: for every oid that no registry has
PyObject* bytes_typecaster;  // BYTES: likewise for columns in binary format

constexpr size_t kMaxOids = 6;

struct BuiltIn {
  const char* name;
  Cast cast;
  bool gives_atoms;
  bool registered;  // in string_types from the start
  Oid oids[kMaxOids];
  Oid array_oids[kMaxOids];  // of the typecaster called name + "ARRAY"; none: no such typecaster
};

// The oids are those of PostgreSQL's catalog pg_type.
constexpr BuiltIn kBuiltIns[] = {
    {"NUMBER", cast_float, true, false, {20, 23, 21, 701, 700, 1700}, {}},
    {"LONGINTEGER", cast_integer, true, true, {20}, {1016}},
    {"INTEGER", cast_integer, true, true, {23, 21}, {1005, 1006, 1007}},
    {"FLOAT", cast_float, true, true, {701, 700}, {1021, 1022}},
    {"DECIMAL", cast_decimal, true, true, {1700}, {1231}},
    {"UNICODE", cast_text, true, false, {19, 18, 25, 1042, 1043}, {1002, 1003, 1009, 1014, 1015}},
    {"BYTES", cast_bytes, true, false, {19, 18, 25, 1042, 1043}, {1002, 1003, 1009, 1014, 1015}},
    {"STRING", cast_text, true, true, {19, 18, 25, 1042, 1043}, {1002, 1003, 1009, 1014, 1015}},
    {"BOOLEAN", cast_boolean, true, true, {16}, {1000}},
    {"DATETIME", cast_timestamp, true, true, {1114}, {1115}},
    {"DATETIMETZ", cast_timestamptz, false, true, {1184}, {1185}},
    {"TIME", cast_time, false, true, {1083, 1266}, {1183, 1270}},
    {"DATE", cast_date, true, true, {1082}, {1182}},
    {"INTERVAL", cast_interval, true, true, {704, 1186}, {1187}},
    {"BINARY", cast_bytea, false, true, {17}, {1001}},
    {"ROWID", cast_integer, true, true, {26}, {1028, 1013}},
    {"UNKNOWN", cast_text, true, true, {705}, {}},
    // Names by which programs ask for datetime objects, whatever else there once was.
    {"PYDATETIME", cast_timestamp, true, false, {1114}, {1115}},
    {"PYDATETIMETZ", cast_timestamptz, false, false, {1184}, {1185}},
    {"PYTIME", cast_time, false, false, {1083, 1266}, {1183, 1270}},
    {"PYDATE", cast_date, true, false, {1082}, {1182}},
    {"PYINTERVAL", cast_interval, true, false, {704, 1186}, {1187}},
};

// Arrays of types without a typecaster of their own: their elements are text.
struct TextArray {
  const char* name;
  Oid oid;
};
constexpr TextArray kTextArrays[] = {
    {"INETARRAY", 1041}, {"CIDRARRAY", 651}, {"MACADDRARRAY", 1040}};

PyObject* oid_tuple(const Oid (&oids)[kMaxOids]) {
  size_t count = 0;
  while (count < kMaxOids && oids[count] != 0) ++count;
  Ref tuple(PyTuple_New(static_cast<Py_ssize_t>(count)));
  if (!tuple) return nullptr;
  for (size_t i = 0; i < count; ++i) {
    PyObject* oid = PyLong_FromUnsignedLong(oids[i]);
    if (oid == nullptr) return nullptr;
    PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), oid);
  }
  return tuple.release();
}

// Enters a typecaster under each of its oids.
bool enter(PyObject* registry, PyObject* typecaster) {
  PyObject* values = as_typecaster(typecaster)->values;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(values); ++i) {
    if (PyDict_SetItem(registry, PyTuple_GET_ITEM(values, i), typecaster) < 0) return false;
  }
  return true;
}

bool add(PyObject* module, const std::string& name, PyObject* typecaster, bool registered) {
  return PyModule_AddObjectRef(module, name.c_str(), typecaster) == 0 &&
         (!registered || enter(string_types, typecaster));
}

bool add_array(PyObject* module, const std::string& name, PyObject* oids, PyObject* base,
               bool registered) {
  const Ref label(PyUnicode_FromString(name.c_str()));
  if (!label || oids == nullptr) return false;
  const Ref array(array_typecaster_new(label.get(), oids, base, ','));
  return array && add(module, name, array.get(), registered);
}

bool add_built_in(PyObject* module, const BuiltIn& entry) {
  const Ref name(PyUnicode_FromString(entry.name));
  const Ref oids(oid_tuple(entry.oids));
  if (!name || !oids) return false;
  const Ref typecaster(typecaster_new(name.get(), oids.get(), nullptr));
  if (!typecaster) return false;
  as_typecaster(typecaster.get())->cast = entry.cast;
  as_typecaster(typecaster.get())->gives_atoms = entry.gives_atoms;
  if (!add(module, entry.name, typecaster.get(), entry.registered)) return false;
  if (entry.array_oids[0] == 0) return true;
  const Ref array_oids(oid_tuple(entry.array_oids));
  return add_array(module, std::string(entry.name) + "ARRAY", array_oids.get(), typecaster.get(),
                   entry.registered);
}

PyObject* new_type(PyObject*, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"values", "name", "castobj", "baseobj", nullptr};
  PyObject* values;
  PyObject* name;
  PyObject* function = nullptr;
  PyObject* base = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!O!|OO", const_cast<char**>(names),
                                   &PyTuple_Type, &values, &PyUnicode_Type, &name, &function,
                                   &base)) {
    return nullptr;
  }
  return typecaster_new(name, values, function);
}

PyObject* new_array_type(PyObject*, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"values", "name", "baseobj", "delimiter", nullptr};
  PyObject* values;
  PyObject* name;
  PyObject* base;
  const char* delimiter = ",";
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!O!O!|$s", const_cast<char**>(names),
                                   &PyTuple_Type, &values, &PyUnicode_Type, &name, typecaster_type,
                                   &base, &delimiter)) {
    return nullptr;
  }
  if (delimiter[0] == 0 || delimiter[1] != 0) {
    PyErr_SetString(PyExc_ValueError, "delimiter must be one ASCII character");
    return nullptr;
  }
  return array_typecaster_new(name, values, base, delimiter[0]);
}

// The registry of an object that may have none yet; borrowed.
PyObject* registry_of(PyObject** place) {
  if (*place == nullptr || *place == Py_None) Py_XSETREF(*place, PyDict_New());
  return *place;
}

PyObject* register_type(PyObject*, PyObject* args) {
  PyObject* typecaster;
  PyObject* scope = nullptr;
  if (!PyArg_ParseTuple(args, "O!|O", typecaster_type, &typecaster, &scope)) return nullptr;
  PyObject* registry;
  if (scope == nullptr || scope == Py_None) {
    registry = string_types;
  } else if (PyObject_TypeCheck(scope, cursor_type)) {
    registry = registry_of(&as_cursor(scope)->string_types);
  } else if (is_connection(scope)) {
    registry = registry_of(&as_connection(scope)->string_types);
  } else {
    PyErr_SetString(PyExc_TypeError, "argument 2 must be a connection, cursor or None");
    return nullptr;
  }
  if (registry == nullptr || !enter(registry, typecaster)) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"new_type", method(new_type), METH_VARARGS | METH_KEYWORDS,
     "new_type(values, name, castobj) -> typecaster\n\n"
     "A typecaster for the oids in the tuple *values*; *castobj* is called with the\n"
     "text of a value (str, or None for NULL) and the cursor.\n\nSwitches: never."},
    {"new_array_type", method(new_array_type), METH_VARARGS | METH_KEYWORDS,
     "new_array_type(values, name, baseobj, *, delimiter=',') -> typecaster\n\n"
     "A typecaster of arrays whose elements *baseobj* casts; box alone has another\n"
     "*delimiter*, ';'.\n\nSwitches: never."},
    {"register_type", method(register_type), METH_VARARGS,
     "register_type(typecaster, scope=None)\n\n"
     "Use *typecaster* for its oids in *scope*: a connection, a cursor, or everywhere.\n\n"
     "Switches: never."},
    {nullptr}};

PyObject* look_up(PyObject* registry, PyObject* oid) {
  if (registry == nullptr || !PyDict_Check(registry)) return nullptr;
  return PyDict_GetItemWithError(registry, oid);
}

}  // namespace

bool add_typecasters(PyObject* module) {
  string_types = PyDict_New();
  binary_types = PyDict_New();
  if (string_types == nullptr || binary_types == nullptr ||
      PyModule_AddObjectRef(module, "string_types", string_types) < 0 ||
      PyModule_AddObjectRef(module, "binary_types", binary_types) < 0) {
    return false;
  }
  for (const BuiltIn& entry : kBuiltIns) {
    if (!add_built_in(module, entry)) return false;
  }
  const Ref text(PyObject_GetAttrString(module, "STRING"));
  if (!text) return false;
  for (const TextArray& entry : kTextArrays) {
    const Ref oids(Py_BuildValue("(I)", entry.oid));
    if (!add_array(module, entry.name, oids.get(), text.get(), true)) return false;
  }
  text_typecaster = PyObject_GetAttrString(module, "UNICODE");
  bytes_typecaster = PyObject_GetAttrString(module, "BYTES");
  return text_typecaster != nullptr && bytes_typecaster != nullptr &&
         PyModule_AddFunctions(module, functions) == 0;
}

PyObject* find_typecaster(CursorObject* cursor, PyObject* oid, bool binary) {
  ConnectionObject* connection = cursor->connection;
  PyObject* found = look_up(binary ? cursor->binary_types : cursor->string_types, oid);
  if (found != nullptr || PyErr_Occurred()) return found;
  if (connection != nullptr) {
    found = look_up(binary ? connection->binary_types : connection->string_types, oid);
    if (found != nullptr || PyErr_Occurred()) return found;
  }
  return look_up(binary ? binary_types : string_types, oid);
}

PyObject* default_typecaster(bool binary) { return binary ? bytes_typecaster : text_typecaster; }

}  // namespace psycoev::values
