// Arrays in their text format ("Arrays", "Array Input and Output Syntax") as lists.
#include <strings.h>

#include <cstring>
#include <string>
#include <string_view>

#include "values/casts.h"
#include "values/error.h"
#include "values/typecast.h"

namespace psycoev::values {
namespace {

constexpr int kMaxDimensions = 16;

class ArrayParser {
 public:
  ArrayParser(const char* data, Py_ssize_t size, CursorObject* cursor, PyObject* base,
              char delimiter)
      : at_(data), end_(data + size), cursor_(cursor), base_(base), delimiter_(delimiter) {}

  PyObject* parse() {
    if (!skip_bounds()) return fail("array does not start with '{'");
    // The braces around the whole are no list of their own.
    ++at_;
    if (at_ == end_ || end_[-1] != '}') return fail("array does not end with '}'");
    --end_;
    Ref array(PyList_New(0));
    if (!array) return nullptr;
    lists_[0] = array.get();
    while (at_ < end_) {
      if (!(*at_ == '{' ? open() : *at_ == '}' ? close() : element())) return nullptr;
    }
    return depth_ == 0 ? array.release() : fail("unbalanced braces in array");
  }

 private:
  PyObject* fail(const char* message) { return raise(exceptions.data_error, cursor_, message); }

  // "[2:4][0:1]=" may stand before the first brace.
  bool skip_bounds() {
    if (at_ < end_ && *at_ == '[') {
      const std::string_view text(at_, static_cast<size_t>(end_ - at_));
      const size_t equals = text.find("]=");
      if (equals == std::string_view::npos) return false;
      at_ += equals + 2;
    }
    return at_ < end_ && *at_ == '{';
  }

  bool open() {
    ++at_;
    const Ref list(PyList_New(0));
    if (!list || PyList_Append(lists_[depth_], list.get()) < 0) return false;
    if (depth_ + 1 > kMaxDimensions) {
      fail("excessive array dimensions");
      return false;
    }
    lists_[++depth_] = list.get();
    return true;
  }

  bool close() {
    ++at_;
    if (at_ < end_ && *at_ == delimiter_) ++at_;
    if (--depth_ >= 0) return true;
    fail("unbalanced braces in array");
    return false;
  }

  bool element() {
    const char* start = at_;
    bool in_quotes = false;
    bool has_escapes = false;
    for (; at_ < end_; ++at_) {
      if (*at_ == '\\') {
        has_escapes = true;
        if (++at_ == end_) break;
      } else if (*at_ == '"') {
        in_quotes = !in_quotes;
      } else if (!in_quotes && (*at_ == delimiter_ || *at_ == '}')) {
        break;
      }
    }
    Py_ssize_t size = at_ - start;
    const bool quoted = size > 0 && *start == '"';
    if (quoted) {
      if (in_quotes || size < 2 || at_[-1] != '"') {
        fail("unbalanced quotes in array");
        return false;
      }
      ++start;
      size -= 2;
    }
    if (at_ < end_ && *at_ == delimiter_) ++at_;
    if (has_escapes) return append_unescaped(start, size);
    const bool is_null = !quoted && size == 4 && strncasecmp(start, "null", 4) == 0;
    return append(is_null ? nullptr : start, size);
  }

  bool append_unescaped(const char* start, Py_ssize_t size) {
    std::string text;
    text.reserve(static_cast<size_t>(size));
    for (const char* end = start + size; start < end; ++start) {
      if (*start == '\\') ++start;
      if (start == end) break;
      text.push_back(*start);
    }
    return append(text.c_str(), static_cast<Py_ssize_t>(text.size()));
  }

  bool append(const char* data, Py_ssize_t size) {
    // The list belongs to the result, which Python code of a cast cannot reach yet.
    const Ref value(cast_value(base_, data, size, cursor_));
    return value && PyList_Append(lists_[depth_], value.get()) == 0;
  }

  const char* at_;
  const char* end_;
  CursorObject* cursor_;
  PyObject* base_;
  char delimiter_;
  PyObject* lists_[kMaxDimensions + 1];  // borrowed: each is in the one before
  int depth_ = 0;
};

}  // namespace

PyObject* cast_array(const char* data, Py_ssize_t size, CursorObject* cursor, PyObject* base,
                     char delimiter) {
  return ArrayParser(data, size, cursor, base, delimiter).parse();
}

}  // namespace psycoev::values
