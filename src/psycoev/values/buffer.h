// A growing piece of text: what literals and statements are written into.
//
// It fails once: after an allocation that failed, every append is ignored and to_bytes() raises
// MemoryError. So writers need no check after each append.
#pragma once

#include <cstring>
#include <string_view>

#include "python.h"

namespace psycoev::values {

class Buffer {
 public:
  Buffer() noexcept = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_ != inline_) PyMem_Free(data_);
  }

  // Room for `count` more bytes at the end, which commit() then counts; null: no memory.
  [[nodiscard]] char* reserve(size_t count) noexcept {
    if (count > capacity_ - size_ && !grow(count)) return nullptr;
    return data_ + size_;
  }
  void commit(size_t count) noexcept { size_ += count; }

  void append(const char* text, size_t count) noexcept {
    if (char* to = reserve(count)) {
      std::memcpy(to, text, count);
      size_ += count;
    }
  }
  void append(std::string_view text) noexcept { append(text.data(), text.size()); }
  void push_back(char c) noexcept {
    if (char* to = reserve(1)) {
      *to = c;
      ++size_;
    }
  }
  // Appends a bytes object.
  void append_bytes(PyObject* bytes) noexcept {
    append(PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes)));
  }

  // Forgets what was written after the first `size` bytes.
  void truncate(size_t size) noexcept { size_ = size; }

  [[nodiscard]] size_t size() const noexcept { return size_; }
  [[nodiscard]] const char* data() const noexcept { return data_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  // A new bytes object; null with MemoryError set.
  [[nodiscard]] PyObject* to_bytes() const noexcept {
    if (failed_) return PyErr_NoMemory();
    return PyBytes_FromStringAndSize(data_, static_cast<Py_ssize_t>(size_));
  }

 private:
  [[nodiscard]] bool grow(size_t count) noexcept {
    if (failed_) return false;
    const size_t wanted = (size_ + count) * 2;
    char* bigger =
        static_cast<char*>(data_ == inline_ ? PyMem_Malloc(wanted) : PyMem_Realloc(data_, wanted));
    if (bigger == nullptr) {
      failed_ = true;
      return false;
    }
    if (data_ == inline_) std::memcpy(bigger, inline_, size_);
    data_ = bigger;
    capacity_ = wanted;
    return true;
  }

  // Small, because adapters of the program may wait while a buffer stands on their stack.
  char inline_[512];
  char* data_ = inline_;
  size_t size_ = 0;
  size_t capacity_ = sizeof inline_;
  bool failed_ = false;
};

}  // namespace psycoev::values
