#include "python/monkey/tls/openssl_errors.h"

#include "python/base/shared_library.h"

namespace coev::python {

unsigned long (*OpensslErrors::peek_)() = nullptr;
void (*OpensslErrors::clear_)() = nullptr;

void OpensslErrors::find(PyObject* module) noexcept {
  const SharedLibrary library(module);
  if (!library.find("ERR_clear_error", &clear_) || !library.find("ERR_peek_error", &peek_)) {
    peek_ = nullptr;
  }
}

}  // namespace coev::python
