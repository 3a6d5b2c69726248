#include "text_builder.h"

#include <algorithm>
#include <cstring>

namespace cqsl {
namespace {

template <typename To, typename From>
void widen(void* to, const void* from, Py_ssize_t count) noexcept {
  std::copy_n(static_cast<const From*>(from), count, static_cast<To*>(to));
}

void copy(int to_kind, void* to, int from_kind, const void* from, Py_ssize_t count) noexcept {
  if (to_kind == from_kind) {
    std::memcpy(to, from, static_cast<size_t>(count) * static_cast<size_t>(to_kind));
  } else if (to_kind == PyUnicode_2BYTE_KIND) {
    widen<Py_UCS2, Py_UCS1>(to, from, count);
  } else if (from_kind == PyUnicode_2BYTE_KIND) {
    widen<Py_UCS4, Py_UCS2>(to, from, count);
  } else {
    widen<Py_UCS4, Py_UCS1>(to, from, count);
  }
}

}  // namespace

bool TextBuilder::make_room(int kind, Py_ssize_t count) noexcept {
  const Py_ssize_t needed = length_ + count;
  if (kind <= kind_ && needed <= capacity_) return true;
  const int wider = std::max(kind, kind_);
  Py_ssize_t capacity = capacity_;
  if (needed > capacity) capacity = std::max(needed, capacity_ + capacity_ / 2);
  void* data = PyMem_Malloc(static_cast<size_t>(capacity) * static_cast<size_t>(wider));
  if (data == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  if (length_ > 0) copy(wider, data, kind_, data_, length_);
  PyMem_Free(data_);
  data_ = data;
  kind_ = wider;
  capacity_ = capacity;
  return true;
}

bool TextBuilder::append(int kind, const void* characters, Py_ssize_t count) noexcept {
  if (count == 0) return true;
  if (length_ + count > kPiece && !end_piece()) return false;
  if (!make_room(kind, count)) return false;
  copy(kind_, static_cast<char*>(data_) + length_ * kind_, kind, characters, count);
  length_ += count;
  return true;
}

bool TextBuilder::append(PyObject* text) noexcept {
  const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
  if (length < kPiece) {
    return append(static_cast<int>(PyUnicode_KIND(text)), PyUnicode_DATA(text), length);
  }
  return end_piece() && PyList_Append(pieces_.get(), text) == 0;
}

// Leaves a list of pieces, and nothing beside it.
bool TextBuilder::end_piece() noexcept {
  if (!pieces_) pieces_ = Ref(PyList_New(0));
  if (!pieces_) return false;
  if (length_ == 0) return true;
  const Ref piece(PyUnicode_FromKindAndData(kind_, data_, length_));
  length_ = 0;
  return piece && PyList_Append(pieces_.get(), piece.get()) == 0;
}

PyObject* TextBuilder::finish() noexcept {
  if (!pieces_) return PyUnicode_FromKindAndData(kind_, data_, length_);
  if (!end_piece()) return nullptr;
  const Ref nothing(PyUnicode_New(0, 0));
  return nothing ? PyUnicode_Join(nothing.get(), pieces_.get()) : nullptr;
}

}  // namespace cqsl
