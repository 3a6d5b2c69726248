// BufferView: the bytes of an object, locked for the time of a call.
#pragma once

#include <Python.h>

#include <cstddef>

namespace coev::python {

class BufferView {
 public:
  // Empty with an exception set if the object has no such buffer.
  BufferView(PyObject* object, int flags) noexcept
      : valid_(PyObject_GetBuffer(object, &view_, flags) == 0) {}
  ~BufferView() {
    if (valid_) PyBuffer_Release(&view_);
  }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;
  explicit operator bool() const noexcept { return valid_; }
  [[nodiscard]] char* bytes() const noexcept { return static_cast<char*>(view_.buf); }
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_;
  bool valid_;
};

}  // namespace coev::python
