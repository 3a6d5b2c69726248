// extensions.Diagnostics: the fields of an error report (libpq, PQresultErrorField).

#include <cstring>

#include "members.h"
#include "values/encoding.h"
#include "values/error.h"
#include "values/error_type.h"

namespace psycoev::values {
namespace {

struct DiagnosticsObject {
  PyObject_HEAD PyObject* error;  // owned: an ErrorObject
};

PyTypeObject* diagnostics_type;

// `field` is one of libpq's PG_DIAG_*, which are characters.
PyObject* diagnostics_field(PyObject* object, void* field) {
  const auto* error =
      reinterpret_cast<ErrorObject*>(reinterpret_cast<DiagnosticsObject*>(object)->error);
  const char* text =
      PQresultErrorField(error->result, static_cast<int>(reinterpret_cast<intptr_t>(field)));
  if (text == nullptr) Py_RETURN_NONE;
  return decode_leniently(text, static_cast<Py_ssize_t>(std::strlen(text)), error->codec);
}

PyObject* make(PyTypeObject* type, PyObject* error) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) reinterpret_cast<DiagnosticsObject*>(self)->error = Py_NewRef(error);
  return self;
}

PyObject* diagnostics_make(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* error;
  if (!PyArg_ParseTuple(args, "O", &error)) return nullptr;
  const int is_error = PyObject_IsInstance(error, exceptions.error);
  if (is_error < 0) return nullptr;
  if (is_error == 0) {
    PyErr_SetString(PyExc_TypeError, "The argument must be a psycoev.Error");
    return nullptr;
  }
  return make(type, error);
}

int diagnostics_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(reinterpret_cast<DiagnosticsObject*>(object)->error);
  return 0;
}
int diagnostics_clear(PyObject* object) {
  Py_CLEAR(reinterpret_cast<DiagnosticsObject*>(object)->error);
  return 0;
}
void diagnostics_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  diagnostics_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyGetSetDef field(const char* name, int code) {
  return {name, diagnostics_field, nullptr, nullptr,
          reinterpret_cast<void*>(static_cast<intptr_t>(code))};
}

PyGetSetDef diagnostics_fields[] = {field("severity", PG_DIAG_SEVERITY),
                                    field("severity_nonlocalized", PG_DIAG_SEVERITY_NONLOCALIZED),
                                    field("sqlstate", PG_DIAG_SQLSTATE),
                                    field("message_primary", PG_DIAG_MESSAGE_PRIMARY),
                                    field("message_detail", PG_DIAG_MESSAGE_DETAIL),
                                    field("message_hint", PG_DIAG_MESSAGE_HINT),
                                    field("statement_position", PG_DIAG_STATEMENT_POSITION),
                                    field("internal_position", PG_DIAG_INTERNAL_POSITION),
                                    field("internal_query", PG_DIAG_INTERNAL_QUERY),
                                    field("context", PG_DIAG_CONTEXT),
                                    field("schema_name", PG_DIAG_SCHEMA_NAME),
                                    field("table_name", PG_DIAG_TABLE_NAME),
                                    field("column_name", PG_DIAG_COLUMN_NAME),
                                    field("datatype_name", PG_DIAG_DATATYPE_NAME),
                                    field("constraint_name", PG_DIAG_CONSTRAINT_NAME),
                                    field("source_file", PG_DIAG_SOURCE_FILE),
                                    field("source_line", PG_DIAG_SOURCE_LINE),
                                    field("source_function", PG_DIAG_SOURCE_FUNCTION),
                                    {nullptr}};

PyType_Slot diagnostics_slots[] = {
    {Py_tp_doc, const_cast<char*>("Diagnostics(error): what the server said of an error.\n\n"
                                  "Every field is a str, or None where the server gave none.")},
    {Py_tp_new, reinterpret_cast<void*>(diagnostics_make)},
    {Py_tp_dealloc, reinterpret_cast<void*>(diagnostics_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(diagnostics_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(diagnostics_clear)},
    {Py_tp_getset, diagnostics_fields},
    {0, nullptr}};

PyType_Spec diagnostics_spec = {"psycoev.extensions.Diagnostics", sizeof(DiagnosticsObject), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                diagnostics_slots};

}  // namespace

bool add_diagnostics(PyObject* module) {
  diagnostics_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&diagnostics_spec));
  return diagnostics_type != nullptr && PyModule_AddType(module, diagnostics_type) == 0;
}

PyObject* diagnostics_new(PyObject* error) { return make(diagnostics_type, error); }

}  // namespace psycoev::values
