#include "python/base/shared_library.h"

#include "python/base/ref.h"

namespace coev::python {

SharedLibrary::SharedLibrary(PyObject* module) noexcept {
  const Ref path = Ref::steal(PyModule_GetFilenameObject(module));
  const char* text = path ? PyUnicode_AsUTF8(path.get()) : nullptr;
  PyErr_Clear();  // linked into the interpreter: no file
  handle_ = dlopen(text, RTLD_LAZY | RTLD_NOLOAD);
}

}  // namespace coev::python
