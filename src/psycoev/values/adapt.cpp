#include "values/adapt.h"

#include "values/adapter.h"
#include "values/datetime_api.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

PyObject* adapters;  // the public dict, (type, protocol) -> callable; owned by us and the module

// A type whose literals need no adapter object while its entry in `adapters` is still ours.
struct DirectType {
  PyTypeObject* type;
  PyObject* key;      // (type, ISQLQuote)
  PyObject* adapter;  // our entry
  WriteLiteral write;
};
constexpr size_t kDirectTypes = 13;
DirectType direct_types[kDirectTypes];
size_t direct_count;

bool add_direct(PyTypeObject* type, PyObject* adapter, WriteLiteral write) {
  PyObject* key = PyTuple_Pack(2, type, isqlquote_type);
  if (key == nullptr || adapter == nullptr) return false;
  direct_types[direct_count++] = {type, key, adapter, write};
  return PyDict_SetItem(adapters, key, adapter) == 0;
}

bool add_direct(PyTypeObject* type, AdapterKind kind, WriteLiteral write) {
  return add_direct(type, Py_NewRef(reinterpret_cast<PyObject*>(adapter_classes[kind].type)),
                    write);
}

const DirectType* direct_type_of(PyObject* value) {
  const PyTypeObject* type = Py_TYPE(value);
  for (const DirectType& entry : direct_types) {
    if (entry.type == type) {
      // A real look-up, because programs change the dict directly.
      const PyObject* adapter = PyDict_GetItemWithError(adapters, entry.key);
      return adapter == entry.adapter ? &entry : nullptr;
    }
  }
  return nullptr;
}

// The entry for one type; a new reference. Empty without an exception if it has none.
Ref entry_of(PyObject* type, PyObject* protocol) {
  const Ref key(PyTuple_Pack(2, type, protocol));
  return key ? Ref::borrowed(PyDict_GetItemWithError(adapters, key.get())) : Ref();
}

// The entry of the nearest base that has one, likewise.
Ref inherited_entry(PyTypeObject* type, PyObject* protocol) {
  const Ref mro = Ref::borrowed(type->tp_mro);
  for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(mro.get()); ++i) {
    Ref entry = entry_of(PyTuple_GET_ITEM(mro.get(), i), protocol);
    if (entry || PyErr_Occurred()) return entry;
  }
  return Ref();
}

// object.name(argument) where object has such a method and accepts the argument: not None. Empty
// with an exception set for any error but TypeError.
Ref ask(PyObject* object, const char* name, PyObject* argument) {
  const Ref function(PyObject_GetAttrString(object, name));
  if (!function) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return Ref();
  }
  Ref answer(PyObject_CallOneArg(function.get(), argument));
  if (!answer && PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Clear();
  if (answer && answer.get() == Py_None) return Ref();
  return answer;
}

PyObject* cannot_adapt(PyObject* object) {
  const Ref name(PyUnicode_FromFormat("can't adapt type '%s'", Py_TYPE(object)->tp_name));
  const char* message = name ? PyUnicode_AsUTF8(name.get()) : nullptr;
  return message == nullptr ? nullptr : raise(exceptions.programming_error, nullptr, message);
}

// bytes of what getquoted() of an adapter has given.
Ref quoted_bytes(PyObject* quoted, ConnectionObject* connection) {
  Ref owned(quoted);
  if (!owned || PyBytes_Check(quoted)) return owned;
  if (PyUnicode_Check(quoted)) return Ref(encode(quoted, connection));
  PyErr_Format(PyExc_ValueError, "only bytes values expected, got %s", Py_TYPE(quoted)->tp_name);
  return Ref();
}

// The whole way: adapt, prepare, getquoted.
Ref quoted_by_adapter(PyObject* value, ConnectionObject* connection) {
  const Ref adapter(adapt(value, reinterpret_cast<PyObject*>(isqlquote_type), nullptr));
  if (!adapter) return Ref();
  if (connection != nullptr) {
    const Ref prepare(PyObject_GetAttrString(adapter.get(), "prepare"));
    if (prepare) {
      const Ref done(PyObject_CallOneArg(prepare.get(), reinterpret_cast<PyObject*>(connection)));
      if (!done) return Ref();
    } else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
      PyErr_Clear();
    } else {
      return Ref();
    }
  }
  return quoted_bytes(PyObject_CallMethod(adapter.get(), "getquoted", nullptr), connection);
}

PyObject* adapt_function(PyObject*, PyObject* args) {
  PyObject* object;
  PyObject* protocol = reinterpret_cast<PyObject*>(isqlquote_type);
  PyObject* alternate = nullptr;
  if (!PyArg_ParseTuple(args, "O|OO", &object, &protocol, &alternate)) return nullptr;
  return adapt(object, protocol, alternate);
}

PyMethodDef functions[] = {
    {"adapt", adapt_function, METH_VARARGS,
     "adapt(object, protocol=ISQLQuote, alternate=None) -> adapter\n\n"
     "By `adapters` for the object's type, `protocol.__adapt__(object)`,\n"
     "`object.__conform__(protocol)` (PEP 246), or `adapters` for its bases.\n\n"
     ":raises ProgrammingError: none of them knows the object.\n\n"
     "Switches: only if code of an adapter does."},
    {nullptr}};

// A function of the module, for an entry in `adapters`.
PyObject* of_module(PyObject* module, const char* name) {
  return PyObject_GetAttrString(module, name);
}

}  // namespace

bool add_adapters(PyObject* module) {
  if (!add_isqlquote(module) || !add_adapter_classes(module) || !add_datetime_adapters(module)) {
    return false;
  }
  const Ref decimal(PyImport_ImportModule("decimal"));
  PyObject* decimal_type = decimal ? PyObject_GetAttrString(decimal.get(), "Decimal") : nullptr;
  adapters = PyDict_New();
  if (!import_datetime() || decimal_type == nullptr || adapters == nullptr) return false;
  // In the order in which programs have them most.
  const bool added =
      add_direct(&PyUnicode_Type, kQuotedString, write_string) &&
      add_direct(&PyLong_Type, kInt, write_integer) &&
      add_direct(&PyFloat_Type, kFloat, write_float) &&
      add_direct(&PyBool_Type, kBoolean, write_boolean) &&
      add_direct(PyDateTimeAPI->DateTimeType, of_module(module, "TimestampFromPy"),
                 write_timestamp) &&
      add_direct(PyDateTimeAPI->DateType, of_module(module, "DateFromPy"), write_date) &&
      add_direct(reinterpret_cast<PyTypeObject*>(decimal_type), kDecimal, write_decimal) &&
      add_direct(&PyList_Type, kList, write_list) &&
      add_direct(&PyBytes_Type, kBinary, write_binary) &&
      add_direct(PyDateTimeAPI->TimeType, of_module(module, "TimeFromPy"), write_time) &&
      add_direct(PyDateTimeAPI->DeltaType, of_module(module, "IntervalFromPy"), write_interval) &&
      add_direct(&PyByteArray_Type, kBinary, write_binary) &&
      add_direct(&PyMemoryView_Type, kBinary, write_binary);
  return added && PyModule_AddObjectRef(module, "adapters", adapters) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

PyObject* adapt(PyObject* object, PyObject* protocol, PyObject*) {
  Ref entry = entry_of(reinterpret_cast<PyObject*>(Py_TYPE(object)), protocol);
  if (entry) return PyObject_CallOneArg(entry.get(), object);
  if (PyErr_Occurred()) return nullptr;
  Ref adapted = ask(protocol, "__adapt__", object);
  if (!adapted && !PyErr_Occurred()) adapted = ask(object, "__conform__", protocol);
  if (adapted) return adapted.release();
  if (PyErr_Occurred()) return nullptr;
  // Last, because what an object says of itself counts for more than what is known of its bases.
  entry = inherited_entry(Py_TYPE(object), protocol);
  if (entry) return PyObject_CallOneArg(entry.get(), object);
  return PyErr_Occurred() ? nullptr : cannot_adapt(object);
}

bool is_adapted_as_list(PyObject* list) {
  if (PyList_CheckExact(list)) return direct_type_of(list) != nullptr;
  if (PyObject_HasAttrString(list, "__conform__")) return false;
  PyObject* protocol = reinterpret_cast<PyObject*>(isqlquote_type);
  Ref entry = entry_of(reinterpret_cast<PyObject*>(Py_TYPE(list)), protocol);
  if (!entry) entry = inherited_entry(Py_TYPE(list), protocol);
  PyErr_Clear();
  return entry.get() == reinterpret_cast<PyObject*>(adapter_classes[kList].type);
}

bool write_adapted(PyObject* value, ConnectionObject* connection, Buffer& out) {
  if (const DirectType* direct = direct_type_of(value)) {
    return direct->write(value, LiteralScope{connection, nullptr}, out);
  }
  if (PyErr_Occurred()) return false;
  const Ref bytes = quoted_by_adapter(value, connection);
  if (!bytes) return false;
  out.append_bytes(bytes.get());
  return true;
}

PyObject* adapt_to_sql(PyObject* object, ConnectionObject* connection) {
  Buffer out;
  return write_adapted(object, connection, out) ? out.to_bytes() : nullptr;
}

}  // namespace psycoev::values
