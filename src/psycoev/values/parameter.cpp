// One parameter of the extended protocol, in text format.
#include <cstring>
#include <string_view>

#include "values/adapt.h"
#include "values/adapter.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

PyObject* no_such_form(PyObject* object) {
  const Ref text(PyUnicode_FromFormat("can't send type '%s' as a parameter of a prepared statement",
                                      Py_TYPE(object)->tp_name));
  const char* message = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  return message == nullptr ? nullptr : raise(exceptions.programming_error, nullptr, message);
}

// 'text'::type or E'text' without what is around the text; false if that is not its form.
bool unquote(std::string_view literal, Buffer& out) {
  const bool escapes = literal.starts_with("E'") || literal.starts_with(" E'");
  const size_t open = literal.find('\'');
  if (open > 2) return false;
  size_t at = open + 1;
  for (; at < literal.size(); ++at) {
    const char c = literal[at];
    if (c == '\'') {
      if (at + 1 == literal.size() || literal[at + 1] != '\'') break;
      ++at;
    } else if (escapes && c == '\\' && at + 1 < literal.size()) {
      ++at;
    }
    out.push_back(literal[at]);
  }
  if (at == literal.size()) return false;
  const std::string_view rest = literal.substr(at + 1);
  return rest.empty() || rest.starts_with("::");
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
}

bool write_array_element(PyObject* item, ConnectionObject* connection, Buffer& out);

// "{...}" of a list and the lists in it.
bool write_array_text(PyObject* list, ConnectionObject* connection, Buffer& out) {
  if (Py_EnterRecursiveCall(" while writing an array") != 0) return false;
  out.push_back('{');
  bool written = true;
  for (Py_ssize_t i = 0; written && i < PyList_GET_SIZE(list); ++i) {
    if (i > 0) out.push_back(',');
    const Ref item = Ref::borrowed(PyList_GET_ITEM(list, i));
    written = write_array_element(item.get(), connection, out);
  }
  out.push_back('}');
  Py_LeaveRecursiveCall();
  return written;
}

bool write_array_element(PyObject* item, ConnectionObject* connection, Buffer& out) {
  if (PyList_Check(item)) return write_array_text(item, connection, out);
  const Ref text(to_parameter(item, connection));
  if (!text) return false;
  if (text.get() == Py_None) {
    out.append("NULL");
    return true;
  }
  out.push_back('"');
  const char* at = PyBytes_AS_STRING(text.get());
  for (const char* end = at + PyBytes_GET_SIZE(text.get()); at < end; ++at) {
    if (*at == '"' || *at == '\\') out.push_back('\\');
    out.push_back(*at);
  }
  out.push_back('"');
  return true;
}

PyObject* string_parameter(PyObject* object, ConnectionObject* connection) {
  Ref bytes(encode(object, connection));
  if (!bytes) return nullptr;
  if (std::memchr(PyBytes_AS_STRING(bytes.get()), 0,
                  static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()))) != nullptr) {
    PyErr_SetString(PyExc_ValueError, "A string literal cannot contain NUL (0x00) characters.");
    return nullptr;
  }
  return bytes.release();
}

}  // namespace

PyObject* to_parameter(PyObject* object, ConnectionObject* connection) {
  if (object == Py_None) return Py_NewRef(Py_None);
  if (PyUnicode_CheckExact(object)) return string_parameter(object, connection);
  Buffer out;
  if (PyList_Check(object) && is_adapted_as_list(object)) {
    return write_array_text(object, connection, out) ? out.to_bytes() : nullptr;
  }
  const Ref literal(adapt_to_sql(object, connection));
  if (!literal) return nullptr;
  std::string_view text(PyBytes_AS_STRING(literal.get()),
                        static_cast<size_t>(PyBytes_GET_SIZE(literal.get())));
  if (unquote(text, out)) return out.to_bytes();
  while (!text.empty() && text[0] == ' ') text.remove_prefix(1);
  if (text == "NULL") return Py_NewRef(Py_None);
  if (!is_number(text) && text != "true" && text != "false") return no_such_form(object);
  return PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
}

}  // namespace psycoev::values
