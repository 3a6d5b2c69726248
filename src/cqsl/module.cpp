// The extension module cqsl._cqsl.

#include <Python.h>

#include "arguments.h"
#include "query.h"
#include "ref.h"
#include "unquote.h"

namespace cqsl {
namespace {

constexpr const char* kQueryNames[] = {"qs",     "keep_blank_values", "strict_parsing", "encoding",
                                       "errors", "max_num_fields",    "separator"};
constexpr const char* kUnquoteNames[] = {"string", "encoding", "errors"};

class ListSink final : public PairSink {
 public:
  explicit ListSink(PyObject* pairs) noexcept : pairs_(pairs) {}
  bool add(PyObject* name, PyObject* value) noexcept override {
    const Ref pair(PyTuple_New(2));
    if (!pair) {
      Py_DECREF(name);
      Py_DECREF(value);
      return false;
    }
    PyTuple_SET_ITEM(pair.get(), 0, name);
    PyTuple_SET_ITEM(pair.get(), 1, value);
    return PyList_Append(pairs_, pair.get()) == 0;
  }

 private:
  PyObject* pairs_;  // borrowed
};

class DictSink final : public PairSink {
 public:
  explicit DictSink(PyObject* values) noexcept : values_(values) {}
  bool add(PyObject* name, PyObject* value) noexcept override {
    const Ref owned_name(name);
    const Ref owned_value(value);
    PyObject* list = PyDict_GetItemWithError(values_, name);
    if (list != nullptr) return PyList_Append(list, value) == 0;
    if (PyErr_Occurred()) return false;
    const Ref first(PyList_New(1));
    if (!first) return false;
    PyList_SET_ITEM(first.get(), 0, Py_NewRef(value));
    return PyDict_SetItem(values_, name, first.get()) == 0;
  }

 private:
  PyObject* values_;  // borrowed
};

template <typename Sink>
PyObject* parse_into(Ref result, const char* function, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) noexcept {
  PyObject* values[7];
  const Signature signature{function, kQueryNames, 7, 1};
  if (!result || !parse_arguments(signature, arguments, count, keywords, values)) return nullptr;
  const QueryOptions options{values[1], values[2], values[3], values[4], values[5], values[6]};
  Sink sink(result.get());
  return parse_query(values[0], options, sink) ? result.release() : nullptr;
}

PyObject* parse_qsl(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  return parse_into<ListSink>(Ref(PyList_New(0)), "parse_qsl", arguments, count, keywords);
}

PyObject* parse_qs(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  return parse_into<DictSink>(Ref(PyDict_New()), "parse_qs", arguments, count, keywords);
}

// What is neither str nor bytes fails as it does in urllib.parse: at the first
// operation that the object does not have.
PyObject* unquote_other(PyObject* object) noexcept {
  const Ref percent(PyUnicode_FromString("%"));
  const int found = percent ? PySequence_Contains(object, percent.get()) : -1;
  if (found < 0) return nullptr;
  if (found > 0) {
    PyErr_Format(PyExc_TypeError, "expected string or bytes-like object, got '%.200s'",
                 Py_TYPE(object)->tp_name);
    return nullptr;
  }
  const Ref split(PyObject_GetAttrString(object, "split"));
  return split ? Py_NewRef(object) : nullptr;
}

PyObject* unquote_object(PyObject* object, PyObject* encoding, PyObject* errors) noexcept {
  if (PyUnicode_Check(object)) {
    const Py_ssize_t size = PyUnicode_GET_LENGTH(object);
    if (PyUnicode_FindChar(object, '%', 0, size, 1) < 0) return Py_NewRef(object);
    return Decoder(encoding, errors).unquote(Text::of(object), Plus::kStays);
  }
  if (!PyBytes_Check(object)) return unquote_other(object);
  const Ref bytes(unquote_bytes(PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object), Plus::kStays));
  if (!bytes) return nullptr;
  // None is no default here, because bytes.decode() gets it as it is.
  const Ref default_encoding(PyUnicode_FromString("utf-8"));
  const Ref default_errors(PyUnicode_FromString("replace"));
  if (!default_encoding || !default_errors) return nullptr;
  return PyObject_CallMethod(bytes.get(), "decode", "OO",
                             encoding == nullptr ? default_encoding.get() : encoding,
                             errors == nullptr ? default_errors.get() : errors);
}

PyObject* unquote(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  PyObject* values[3];
  const Signature signature{"unquote", kUnquoteNames, 3, 1};
  if (!parse_arguments(signature, arguments, count, keywords, values)) return nullptr;
  return unquote_object(values[0], values[1], values[2]);
}

PyObject* unquote_plus(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  PyObject* values[3];
  const Signature signature{"unquote_plus", kUnquoteNames, 3, 1};
  if (!parse_arguments(signature, arguments, count, keywords, values)) return nullptr;
  if (PyUnicode_CheckExact(values[0])) {
    return Decoder(values[1], values[2]).unquote(Text::of(values[0]), Plus::kIsSpace);
  }
  const Ref spaced(PyObject_CallMethod(values[0], "replace", "ss", "+", " "));
  return spaced ? unquote_object(spaced.get(), values[1], values[2]) : nullptr;
}

PyObject* unquote_to_bytes(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  PyObject* object = nullptr;
  const Signature signature{"unquote_to_bytes", kUnquoteNames, 1, 1};
  if (!parse_arguments(signature, arguments, count, keywords, &object)) return nullptr;
  if (PyUnicode_Check(object)) {
    const Ref bytes(PyUnicode_AsUTF8String(object));
    if (!bytes) return nullptr;
    return unquote_bytes(PyBytes_AS_STRING(bytes.get()), PyBytes_GET_SIZE(bytes.get()),
                         Plus::kStays);
  }
  if (PyBytes_Check(object)) {
    return unquote_bytes(PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object), Plus::kStays);
  }
  if (PyByteArray_Check(object)) {
    return unquote_bytes(PyByteArray_AS_STRING(object), PyByteArray_GET_SIZE(object), Plus::kStays);
  }
  const Ref split(PyObject_GetAttrString(object, "split"));
  if (!split) return nullptr;
  PyErr_Format(PyExc_TypeError, "unquote_to_bytes() takes a str or bytes, not '%.200s'",
               Py_TYPE(object)->tp_name);
  return nullptr;
}

template <typename Function>
PyCFunction as_method(Function function) noexcept {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

constexpr int kFast = METH_FASTCALL | METH_KEYWORDS;

PyMethodDef functions[] = {
    {"parse_qs", as_method(parse_qs), kFast,
     "parse_qs($module, /, qs, keep_blank_values=False, strict_parsing=False, encoding='utf-8',\n"
     "         errors='replace', max_num_fields=None, separator='&')\n--\n\n"
     "Take a query string apart into a dict of lists, names in the order they came first.\n\n"
     "The arguments are those of parse_qsl()."},
    {"parse_qsl", as_method(parse_qsl), kFast,
     "parse_qsl($module, /, qs, keep_blank_values=False, strict_parsing=False, encoding='utf-8',\n"
     "          errors='replace', max_num_fields=None, separator='&')\n--\n\n"
     "Take a query string apart into a list of (name, value) pairs.\n\n"
     "As urllib.parse.parse_qsl of CPython 3.13, on every version. Switches: never.\n\n"
     ":param qs: a str, or a bytes-like object, whose names and values are then bytes and\n"
     "    for which encoding and errors do not count; anything false has no fields.\n"
     ":param keep_blank_values: keep names without a value, with an empty one.\n"
     ":param strict_parsing: raise ValueError for a field without '='.\n"
     ":param encoding: the codec of the percent-encoded bytes of a str.\n"
     ":param errors: what that codec does with bytes that it cannot decode.\n"
     ":param max_num_fields: raise ValueError if there are more fields, empty ones counted.\n"
     ":param separator: what stands between fields, a str or bytes of any length but 0.\n"
     ":raises ValueError: as said above, or for a separator of another type.\n"
     ":raises LookupError: no such codec, and there is a '%' that needs one."},
    {"unquote", as_method(unquote), kFast,
     "unquote($module, /, string, encoding='utf-8', errors='replace')\n--\n\n"
     "Replace %xx escapes in a str or bytes and decode them, as urllib.parse.unquote.\n\n"
     "Switches: never."},
    {"unquote_plus", as_method(unquote_plus), kFast,
     "unquote_plus($module, /, string, encoding='utf-8', errors='replace')\n--\n\n"
     "Like unquote(), with '+' replaced by a space before. Switches: never."},
    {"unquote_to_bytes", as_method(unquote_to_bytes), kFast,
     "unquote_to_bytes($module, /, string)\n--\n\n"
     "Replace %xx escapes in a str (as UTF-8) or bytes by their bytes. Switches: never."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "cqsl._cqsl", nullptr, 0, functions, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace cqsl

PyMODINIT_FUNC PyInit__cqsl() {  // NOLINT(bugprone-reserved-identifier): CPython's name
  return PyModuleDef_Init(&cqsl::definition);
}
