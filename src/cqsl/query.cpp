#include "query.h"

#include <cstring>

#include "ref.h"
#include "unquote.h"

namespace cqsl {
namespace {

const void* find_byte(const void* from, int byte, Py_ssize_t size) noexcept {
  return std::memchr(from, byte, static_cast<size_t>(size));
}

// What str and bytes have in common: a row of characters that can be searched, cut and
// decoded. A separator of several characters is found by CPython's and libc's own
// search, because both need linear time for any separator.
class TextQuery {
 public:
  TextQuery(PyObject* query, PyObject* separator, const QueryOptions& options) noexcept
      : query_(query),
        separator_(separator),
        decoder_(options.encoding, options.errors),
        text_(Text::of(query)),
        single_(PyUnicode_GET_LENGTH(separator) == 1 ? PyUnicode_READ_CHAR(separator, 0) : kMany) {}

  [[nodiscard]] Py_ssize_t size() const noexcept { return text_.size; }
  [[nodiscard]] Py_ssize_t separator_size() const noexcept {
    return PyUnicode_GET_LENGTH(separator_);
  }
  [[nodiscard]] Py_ssize_t find_separator(Py_ssize_t begin) const noexcept {
    if (single_ != kMany) return find(single_, begin, text_.size);
    return PyUnicode_Find(query_, separator_, begin, text_.size, 1);
  }
  [[nodiscard]] Py_ssize_t find_equals(Py_ssize_t begin, Py_ssize_t end) const noexcept {
    return find('=', begin, end);
  }
  [[nodiscard]] PyObject* unquote(Py_ssize_t begin, Py_ssize_t end) const noexcept {
    return decoder_.unquote(text_.part(begin, end), Plus::kIsSpace);
  }
  [[nodiscard]] PyObject* cut(Py_ssize_t begin, Py_ssize_t end) const noexcept {
    return PyUnicode_Substring(query_, begin, end);
  }

 private:
  static constexpr Py_UCS4 kMany = ~Py_UCS4{0};

  template <typename Character>
  [[nodiscard]] Py_ssize_t find_wide(Py_UCS4 character, Py_ssize_t begin,
                                     Py_ssize_t end) const noexcept {
    const auto* data = static_cast<const Character*>(text_.data);
    for (Py_ssize_t i = begin; i < end; ++i) {
      if (data[i] == character) return i;
    }
    return -1;
  }
  // The first `character` from begin on, or -1.
  [[nodiscard]] Py_ssize_t find(Py_UCS4 character, Py_ssize_t begin,
                                Py_ssize_t end) const noexcept {
    if (text_.kind == PyUnicode_2BYTE_KIND) return find_wide<Py_UCS2>(character, begin, end);
    if (text_.kind == PyUnicode_4BYTE_KIND) return find_wide<Py_UCS4>(character, begin, end);
    if (character > 0xff) return -1;
    const auto* data = static_cast<const Py_UCS1*>(text_.data);
    const void* found = find_byte(data + begin, static_cast<int>(character), end - begin);
    return found == nullptr ? -1 : static_cast<const Py_UCS1*>(found) - data;
  }

  PyObject* query_;
  PyObject* separator_;
  Decoder decoder_;
  Text text_;
  Py_UCS4 single_;
};

class BytesQuery {
 public:
  BytesQuery(PyObject* query, PyObject* separator) noexcept
      : data_(PyBytes_AS_STRING(query)),
        size_(PyBytes_GET_SIZE(query)),
        separator_(PyBytes_AS_STRING(separator)),
        separator_size_(PyBytes_GET_SIZE(separator)) {}

  [[nodiscard]] Py_ssize_t size() const noexcept { return size_; }
  [[nodiscard]] Py_ssize_t separator_size() const noexcept { return separator_size_; }
  [[nodiscard]] Py_ssize_t find_separator(Py_ssize_t begin) const noexcept {
    const void* found = memmem(data_ + begin, static_cast<size_t>(size_ - begin), separator_,
                               static_cast<size_t>(separator_size_));
    return found == nullptr ? -1 : static_cast<const char*>(found) - data_;
  }
  [[nodiscard]] Py_ssize_t find_equals(Py_ssize_t begin, Py_ssize_t end) const noexcept {
    const void* found = find_byte(data_ + begin, '=', end - begin);
    return found == nullptr ? -1 : static_cast<const char*>(found) - data_;
  }
  [[nodiscard]] PyObject* unquote(Py_ssize_t begin, Py_ssize_t end) const noexcept {
    return unquote_bytes(data_ + begin, end - begin, Plus::kIsSpace);
  }
  [[nodiscard]] PyObject* cut(Py_ssize_t begin, Py_ssize_t end) const noexcept {
    return PyBytes_FromStringAndSize(data_ + begin, end - begin);
  }

 private:
  const char* data_;
  Py_ssize_t size_;
  const char* separator_;
  Py_ssize_t separator_size_;
};

// ERRORS: false with ValueError set, or what comparing with the limit raised.
template <typename Query>
bool check_count(const Query& query, PyObject* most) noexcept {
  if (most == nullptr || most == Py_None) return true;
  Py_ssize_t count = 1;
  for (Py_ssize_t at = query.find_separator(0); at >= 0; ++count) {
    at = query.find_separator(at + query.separator_size());
  }
  const Ref fields(PyLong_FromSsize_t(count));
  const int exceeded = fields ? PyObject_RichCompareBool(most, fields.get(), Py_LT) : -1;
  if (exceeded > 0) PyErr_SetString(PyExc_ValueError, "Max number of fields exceeded");
  return exceeded == 0;
}

// The truth of an option that may be missing. ERRORS: -1.
int is_set(PyObject* option) noexcept { return option == nullptr ? 0 : PyObject_IsTrue(option); }

template <typename Query>
bool complain_of_field(const Query& query, Py_ssize_t begin, Py_ssize_t end) noexcept {
  const Ref field(query.cut(begin, end));
  if (field) PyErr_Format(PyExc_ValueError, "bad query field: %R", field.get());
  return false;
}

// One field, from begin up to end. ERRORS: false.
template <typename Query>
bool parse_field(const Query& query, Py_ssize_t begin, Py_ssize_t end, const QueryOptions& options,
                 PairSink& sink) noexcept {
  const Py_ssize_t equals = query.find_equals(begin, end);
  if (equals < 0) {
    const int strict = is_set(options.strict_parsing);
    if (strict != 0) return strict > 0 && complain_of_field(query, begin, end);
    if (begin == end) return true;
  }
  const Py_ssize_t name_end = equals < 0 ? end : equals;
  const Py_ssize_t value_begin = equals < 0 ? end : equals + 1;
  if (value_begin == end) {
    const int keep = is_set(options.keep_blank_values);
    if (keep <= 0) return keep == 0;
  }
  Ref name(query.unquote(begin, name_end));
  if (!name) return false;
  Ref value(query.unquote(value_begin, end));
  return value && sink.add(name.release(), value.release());
}

template <typename Query>
bool parse_fields(const Query& query, const QueryOptions& options, PairSink& sink) noexcept {
  if (!check_count(query, options.max_num_fields)) return false;
  for (Py_ssize_t begin = 0;;) {
    const Py_ssize_t found = query.find_separator(begin);
    const Py_ssize_t end = found < 0 ? query.size() : found;
    if (!parse_field(query, begin, end, options, sink)) return false;
    if (found < 0) return true;
    begin = found + query.separator_size();
  }
}

// The separator as a str or as bytes, by ASCII. New reference.
PyObject* separator_like(bool text, PyObject* separator) noexcept {
  if (separator == nullptr) return text ? PyUnicode_FromString("&") : PyBytes_FromString("&");
  if (text) {
    if (PyUnicode_Check(separator)) return Py_NewRef(separator);
    return PyUnicode_DecodeASCII(PyBytes_AS_STRING(separator), PyBytes_GET_SIZE(separator),
                                 nullptr);
  }
  return PyBytes_Check(separator) ? Py_NewRef(separator) : PyUnicode_AsASCIIString(separator);
}

bool check_separator(PyObject* separator) noexcept {
  if (separator == nullptr) return true;
  const int given = PyObject_IsTrue(separator);
  if (given < 0) return false;
  if (given > 0 && (PyUnicode_Check(separator) || PyBytes_Check(separator))) return true;
  PyErr_SetString(PyExc_ValueError, "Separator must be of type string or bytes.");
  return false;
}

// Bytes of any object with a buffer. New reference.
PyObject* as_bytes(PyObject* object) noexcept {
  if (PyBytes_CheckExact(object)) return Py_NewRef(object);
  // A memoryview refuses the numbers and iterables that bytes() would take.
  const Ref view(PyMemoryView_FromObject(object));
  return view ? PyBytes_FromObject(view.get()) : nullptr;
}

bool parse_text(PyObject* query, const QueryOptions& options, PairSink& sink) noexcept {
  const Ref separator(separator_like(true, options.separator));
  if (!separator) return false;
  if (PyUnicode_GET_LENGTH(query) == 0) return true;
  return parse_fields(TextQuery(query, separator.get(), options), options, sink);
}

bool parse_bytes(PyObject* query, const QueryOptions& options, PairSink& sink) noexcept {
  const int given = PyObject_IsTrue(query);
  if (given <= 0) return given == 0;
  const Ref bytes(as_bytes(query));
  if (!bytes) return false;
  const Ref separator(separator_like(false, options.separator));
  if (!separator) return false;
  if (PyBytes_GET_SIZE(bytes.get()) == 0) return true;
  return parse_fields(BytesQuery(bytes.get(), separator.get()), options, sink);
}

}  // namespace

bool parse_query(PyObject* query, const QueryOptions& options, PairSink& sink) noexcept {
  if (!check_separator(options.separator)) return false;
  return PyUnicode_Check(query) ? parse_text(query, options, sink)
                                : parse_bytes(query, options, sink);
}

}  // namespace cqsl
