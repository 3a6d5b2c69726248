// Percent-decoding, as urllib.parse of CPython 3.13 does it (RFC 3986, section 2.1).
//
// An escape is '%' and two hexadecimal digits; what looks otherwise stays as it is.
// In a str, each longest run of ASCII characters is decoded by itself: its bytes, with
// the escapes replaced, go through the codec. Other characters pass unchanged and
// separate the runs.
#ifndef CQSL_UNQUOTE_H
#define CQSL_UNQUOTE_H

#include <Python.h>

namespace cqsl {

// Whether '+' means a space.
enum class Plus { kStays, kIsSpace };

// Characters inside a str that its owner keeps alive. BORROWS.
struct Text {
  int kind;  // bytes a character
  bool ascii;
  const void* data;
  Py_ssize_t size;  // in characters

  static Text of(PyObject* text) noexcept {
    return {static_cast<int>(PyUnicode_KIND(text)), PyUnicode_IS_ASCII(text) != 0,
            PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text)};
  }
  [[nodiscard]] Text part(Py_ssize_t begin, Py_ssize_t end) const noexcept {
    return {kind, ascii, static_cast<const char*>(data) + begin * kind, end - begin};
  }
};

// How the bytes of a run become a str. The codec is looked up only when a '%' is met,
// because urllib.parse does not look before either.
class Decoder {
 public:
  // BORROWS: both arguments; None or nullptr mean the default, utf-8 and replace.
  Decoder(PyObject* encoding, PyObject* errors) noexcept;

  // New reference; NULL with the codec's exception or MemoryError set.
  [[nodiscard]] PyObject* unquote(const Text& text, Plus plus) const noexcept;

 private:
  template <typename Character>
  [[nodiscard]] PyObject* unquote_wide(const Text& text, Plus plus) const noexcept;
  [[nodiscard]] PyObject* decode(const char* bytes, Py_ssize_t size) const noexcept;
  [[nodiscard]] bool forgives() const noexcept;
  [[nodiscard]] PyObject* unquote_run(const Py_UCS1* run, Py_ssize_t size,
                                      Plus plus) const noexcept;

  PyObject* encoding_;  // nullptr: utf-8, without asking a codec
  PyObject* errors_;
  const char* utf8_errors_;  // of the decoder of utf-8 that is built in
};

// The bytes behind the escapes. New reference; NULL with MemoryError set.
[[nodiscard]] PyObject* unquote_bytes(const char* bytes, Py_ssize_t size, Plus plus) noexcept;

}  // namespace cqsl

#endif  // CQSL_UNQUOTE_H
