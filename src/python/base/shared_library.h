// A shared library that is loaded already, in which symbols are looked up.
#pragma once

#include <Python.h>
#include <dlfcn.h>

namespace coev::python {

class SharedLibrary {
 public:
  // nullptr: the interpreter.
  explicit SharedLibrary(const char* path) noexcept
      : handle_(dlopen(path, RTLD_LAZY | RTLD_NOLOAD)) {}
  // That of an extension module; the interpreter for one linked into it.
  explicit SharedLibrary(PyObject* module) noexcept;
  ~SharedLibrary() {
    if (handle_ != nullptr) dlclose(handle_);  // whoever has loaded it keeps it
  }
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  // Also finds what the library is linked with. False, and `*symbol` nullptr, if it is not there.
  template <typename Symbol>
  [[nodiscard]] bool find(const char* name, Symbol* symbol) const noexcept {
    *symbol = handle_ == nullptr ? nullptr : reinterpret_cast<Symbol>(dlsym(handle_, name));
    return *symbol != nullptr;
  }

 private:
  void* handle_;
};

}  // namespace coev::python
