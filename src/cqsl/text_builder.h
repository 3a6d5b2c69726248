// Collects characters of any width for one new str.
//
// The characters are kept as wide as the widest of their piece needs, as str does. A
// text of many characters is kept in pieces, each a str, and joined at the end: the
// builder and its result together need no more than twice the memory of the result.
// Not thread-safe: one builder lives on one stack.
#ifndef CQSL_TEXT_BUILDER_H
#define CQSL_TEXT_BUILDER_H

#include <Python.h>

#include "ref.h"

namespace cqsl {

class TextBuilder {
 public:
  TextBuilder() noexcept = default;
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;
  ~TextBuilder() { PyMem_Free(data_); }

  // kind: the bytes a character, PyUnicode_1BYTE_KIND to PyUnicode_4BYTE_KIND.
  // ERRORS: false with MemoryError set.
  [[nodiscard]] bool append(int kind, const void* characters, Py_ssize_t count) noexcept;
  [[nodiscard]] bool append(PyObject* text) noexcept;
  // New reference; NULL with MemoryError set. The builder is empty afterwards.
  [[nodiscard]] PyObject* finish() noexcept;

 private:
  static constexpr Py_ssize_t kPiece = 16384;  // characters

  [[nodiscard]] bool end_piece() noexcept;
  [[nodiscard]] bool make_room(int kind, Py_ssize_t count) noexcept;

  Ref pieces_;  // a list, if there are any
  void* data_ = nullptr;
  int kind_ = PyUnicode_1BYTE_KIND;
  Py_ssize_t length_ = 0;
  Py_ssize_t capacity_ = 0;  // in characters of kind_
};

}  // namespace cqsl

#endif  // CQSL_TEXT_BUILDER_H
