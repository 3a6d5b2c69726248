#include "python/openssl_errors.h"

#include <dlfcn.h>

#include "python/module_hook.h"

namespace coev::python {

unsigned long (*OpensslErrors::peek_)() = nullptr;
void (*OpensslErrors::clear_)() = nullptr;

void OpensslErrors::find(PyObject* module) noexcept {
  void* library = library_of(module);
  if (library == nullptr) return;
  const auto peek = reinterpret_cast<unsigned long (*)()>(dlsym(library, "ERR_peek_error"));
  const auto clear = reinterpret_cast<void (*)()>(dlsym(library, "ERR_clear_error"));
  if (peek == nullptr || clear == nullptr) return;
  peek_ = peek;
  clear_ = clear;
}

}  // namespace coev::python
