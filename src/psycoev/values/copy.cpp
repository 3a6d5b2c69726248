#include "values/copy.h"

#include <string>

#include "values/adapt.h"
#include "values/buffer.h"
#include "values/encoding.h"

namespace psycoev::values {
namespace {

// A str or bytes as a quoted identifier or literal behind what is written already.
bool append_quoted(PyObject* text, ConnectionObject* connection, bool identifier, Buffer& out) {
  Ref bytes;
  if (PyUnicode_Check(text)) {
    bytes = Ref(encode(text, connection));
  } else if (PyBytes_Check(text)) {
    bytes = Ref::borrowed(text);
  } else {
    PyErr_Format(PyExc_TypeError, "expected str, got %s", Py_TYPE(text)->tp_name);
  }
  if (!bytes) return false;
  const auto quote = identifier ? quote_identifier : quote_literal;
  const Ref quoted(
      quote(PyBytes_AS_STRING(bytes.get()), PyBytes_GET_SIZE(bytes.get()), connection));
  if (!quoted) return false;
  out.append_bytes(quoted.get());
  return true;
}

// " (\"a\",\"b\")"; nothing for None and for no columns.
bool append_columns(PyObject* columns, ConnectionObject* connection, Buffer& out) {
  if (columns == nullptr || columns == Py_None) return true;
  const Ref iterator(PyObject_GetIter(columns));
  if (!iterator) return false;
  bool any = false;
  while (const Ref name{PyIter_Next(iterator.get())}) {
    out.append(any ? "," : " (");
    any = true;
    if (!append_quoted(name.get(), connection, true, out)) return false;
  }
  if (PyErr_Occurred()) return false;
  if (any) out.push_back(')');
  return true;
}

}  // namespace

int is_text_file(PyObject* file) {
  const Ref io(PyImport_ImportModule("io"));
  const Ref base(io ? PyObject_GetAttrString(io.get(), "TextIOBase") : nullptr);
  return base ? PyObject_IsInstance(file, base.get()) : -1;
}

PyObject* copy_statement(ConnectionObject* connection, bool from_stdin, PyObject* table,
                         PyObject* columns, PyObject* separator, PyObject* null_mark) {
  Buffer out;
  out.append("COPY ");
  if (!append_quoted(table, connection, true, out) || !append_columns(columns, connection, out)) {
    return nullptr;
  }
  out.append(from_stdin ? " FROM stdin WITH DELIMITER AS " : " TO stdout WITH DELIMITER AS ");
  if (!append_quoted(separator, connection, false, out)) return nullptr;
  if (null_mark != nullptr) {
    out.append(" NULL AS ");
    if (!append_quoted(null_mark, connection, false, out)) return nullptr;
  }
  return out.to_bytes();
}

}  // namespace psycoev::values
