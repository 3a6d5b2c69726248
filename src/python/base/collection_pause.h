// CollectionPause: no garbage collection begins while one exists, so nothing that
// allocates runs finalizers. For places where Python code must not run.
#pragma once

#include <Python.h>

namespace coev::python {

class CollectionPause {
 public:
  CollectionPause() noexcept : enabled_(PyGC_Disable() != 0) {}
  ~CollectionPause() {
    if (enabled_) PyGC_Enable();
  }
  CollectionPause(const CollectionPause&) = delete;
  CollectionPause& operator=(const CollectionPause&) = delete;

 private:
  bool enabled_;
};

}  // namespace coev::python
