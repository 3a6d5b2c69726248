// The parameters of a statement merged into its text: %s, %(name)s and %%.
#include <cstring>
#include <string>

#include "values/adapt.h"
#include "values/adapter.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

// Walks over a statement's text and hands the placeholders to `Sink`, which has
//     bool put(PyObject* value)         a positional or named parameter, borrowed
//     void text(const char*, size_t)    what stands between
// Errors that the text alone tells wait until all parameters were looked at: a missing parameter
// counts for more than a wrong letter behind '%'.
template <typename Sink>
class Template {
 public:
  Template(const char* text, Py_ssize_t size, PyObject* parameters, ConnectionObject* connection,
           Sink& sink)
      : start_(text),
        end_(text + size),
        parameters_(parameters),
        connection_(connection),
        sink_(sink) {}

  bool expand() {
    const char* at = start_;
    while (const char* percent = find_percent(at)) {
      sink_.text(at, static_cast<size_t>(percent - at));
      at = percent + 1;
      if (at < end_ && *at == '%') {
        sink_.text("%", 1);
        ++at;
      } else if (!(at < end_ && *at == '(' ? named(at) : positional(at))) {
        return false;
      }
    }
    sink_.text(at, static_cast<size_t>(end_ - at));
    if (wrong_ != nullptr) return fail_format();
    return !is_positional_ || all_used();
  }

 private:
  const char* find_percent(const char* at) const {
    return static_cast<const char*>(std::memchr(at, '%', static_cast<size_t>(end_ - at)));
  }

  bool mixed() {
    raise(exceptions.programming_error, nullptr, "argument formats can't be mixed");
    return false;
  }

  // The 's' that ends a placeholder.
  void conversion(const char*& at) {
    if (at < end_ && *at == 's') {
      ++at;
    } else {
      if (wrong_ == nullptr) wrong_ = at;
      if (at < end_) ++at;
    }
  }

  bool named(const char*& at) {
    if (is_positional_) return mixed();
    const char* name = ++at;
    while (at < end_ && *at != ')' && *at != '%') ++at;
    if (at == end_ || *at != ')') {
      raise(exceptions.programming_error, nullptr, "incomplete placeholder: '%(' without ')'");
      return false;
    }
    is_named_ = true;
    const Ref key(decode(name, at - name, connection_));
    ++at;
    const Ref value(key ? PyObject_GetItem(parameters_, key.get()) : nullptr);
    if (!value || !sink_.put_named(key.get(), value.get())) return false;
    conversion(at);
    return true;
  }

  bool positional(const char*& at) {
    if (is_named_) return mixed();
    is_positional_ = true;
    const Ref value(item(used_++));
    if (!value || !sink_.put(value.get())) return false;
    conversion(at);
    return true;
  }

  PyObject* item(Py_ssize_t index) {
    PyObject* value = PySequence_GetItem(parameters_, index);
    // In the words of a Python that calls this indexing.
    if (value == nullptr && !PySequence_Check(parameters_) && !PyDict_Check(parameters_)) {
      PyErr_Format(PyExc_TypeError, "'%s' object does not support indexing",
                   Py_TYPE(parameters_)->tp_name);
    }
    return value;
  }

  bool fail_format() {
    if (wrong_ == end_) {
      PyErr_SetString(PyExc_ValueError, "incomplete format");
    } else {
      const auto c = static_cast<unsigned char>(*wrong_);
      PyErr_Format(PyExc_ValueError, "unsupported format character '%c' (0x%x) at index %zd", c, c,
                   wrong_ - start_);
    }
    return false;
  }

  bool all_used() {
    const Py_ssize_t count = PyObject_Size(parameters_);
    if (count < 0) return false;
    if (used_ >= count) return true;
    PyErr_SetString(PyExc_TypeError, "not all arguments converted during string formatting");
    return false;
  }

  const char* start_;
  const char* end_;
  PyObject* parameters_;
  ConnectionObject* connection_;
  Sink& sink_;
  Py_ssize_t used_ = 0;
  bool is_named_ = false;
  bool is_positional_ = false;
  const char* wrong_ = nullptr;  // the first letter that is not an 's'
};

// Writes literals in place of the placeholders.
class LiteralSink {
 public:
  explicit LiteralSink(ConnectionObject* connection) : connection_(connection) {}

  void text(const char* text, size_t size) { out.append(text, size); }
  bool put(PyObject* value) {
    if (value != Py_None) return write_adapted(value, connection_, out);
    out.append("NULL");
    return true;
  }
  bool put_named(PyObject*, PyObject* value) { return put(value); }

  Buffer out;

 private:
  ConnectionObject* connection_;
};

// Writes $1, $2, ... and keeps the values.
class NumberSink {
 public:
  NumberSink() : values(PyList_New(0)), numbers_(PyDict_New()) {}

  void text(const char* text, size_t size) { out.append(text, size); }
  bool put(PyObject* value) {
    if (!values || PyList_Append(values.get(), value) < 0) return false;
    write_number(PyList_GET_SIZE(values.get()));
    return true;
  }
  // A name that stands there twice is one parameter.
  bool put_named(PyObject* name, PyObject* value) {
    PyObject* known = numbers_ ? PyDict_GetItemWithError(numbers_.get(), name) : nullptr;
    if (known != nullptr) {
      write_number(PyLong_AsSsize_t(known));
      return true;
    }
    if (PyErr_Occurred() || !put(value)) return false;
    const Ref number(PyLong_FromSsize_t(PyList_GET_SIZE(values.get())));
    return number && PyDict_SetItem(numbers_.get(), name, number.get()) == 0;
  }

  Buffer out;
  Ref values;

 private:
  void write_number(Py_ssize_t number) {
    const std::string digits = std::to_string(number);
    out.push_back('$');
    out.append(digits);
  }

  Ref numbers_;
};

// The statement as bytes; a new reference.
Ref statement_bytes(PyObject* query, ConnectionObject* connection) {
  if (PyUnicode_Check(query)) return Ref(encode(query, connection));
  if (PyBytes_Check(query)) return Ref::borrowed(query);
  PyErr_Format(PyExc_TypeError, "argument 1 must be a string or unicode object: got %s instead",
               Py_TYPE(query)->tp_name);
  return Ref();
}

template <typename Sink>
bool expand(PyObject* statement, PyObject* parameters, ConnectionObject* connection, Sink& sink) {
  return Template<Sink>(PyBytes_AS_STRING(statement), PyBytes_GET_SIZE(statement), parameters,
                        connection, sink)
      .expand();
}

}  // namespace

PyObject* interpolate(PyObject* query, PyObject* parameters, ConnectionObject* connection) {
  const Ref statement = statement_bytes(query, connection);
  if (!statement) return nullptr;
  LiteralSink sink(connection);
  if (!expand(statement.get(), parameters, connection, sink)) return nullptr;
  return sink.out.to_bytes();
}

PyObject* to_numbered(PyObject* query, PyObject* parameters, ConnectionObject* connection) {
  const Ref statement = statement_bytes(query, connection);
  if (!statement) return nullptr;
  NumberSink sink;
  if (!expand(statement.get(), parameters, connection, sink)) return nullptr;
  const Ref text(sink.out.to_bytes());
  return text ? PyTuple_Pack(2, text.get(), sink.values.get()) : nullptr;
}

}  // namespace psycoev::values
