#include "file_wrapper_type.h"

#include <sys/stat.h>

#include <algorithm>

#include "runtime.h"

namespace coewsgi {
namespace {

struct FileWrapper {
  PyObject_HEAD PyObject* file;
  PyObject* block;  // the size given to read()
};

FileWrapper* as_wrapper(PyObject* self) noexcept { return reinterpret_cast<FileWrapper*>(self); }

PyObject* wrapper_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* file = nullptr;
  Py_ssize_t block = 65536;
  if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) != 0) {
    PyErr_SetString(PyExc_TypeError, "file_wrapper takes no keyword arguments");
    return nullptr;
  }
  if (PyArg_ParseTuple(args, "O|n:file_wrapper", &file, &block) == 0) return nullptr;
  Ref size = Ref::steal(PyLong_FromSsize_t(block < 1 ? 65536 : block));
  if (!size) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  as_wrapper(self)->file = Py_NewRef(file);
  as_wrapper(self)->block = size.release();
  return self;
}

PyObject* wrapper_next(PyObject* self) {
  const FileWrapper* wrapper = as_wrapper(self);
  Ref data = Ref::steal(PyObject_CallMethodOneArg(wrapper->file, strings.read, wrapper->block));
  if (!data) return nullptr;
  const int some = PyObject_IsTrue(data.get());
  return some > 0 ? data.release() : nullptr;
}

PyObject* wrapper_close(PyObject* self, PyObject*) {
  const Ref close = Ref::steal(PyObject_GetAttr(as_wrapper(self)->file, strings.close));
  if (close) return PyObject_CallNoArgs(close.get());
  if (PyErr_ExceptionMatches(PyExc_AttributeError) == 0) return nullptr;
  PyErr_Clear();
  Py_RETURN_NONE;
}

int wrapper_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(as_wrapper(self)->file);
  return 0;
}

int wrapper_clear(PyObject* self) {
  Py_CLEAR(as_wrapper(self)->file);
  return 0;
}

void wrapper_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_XDECREF(as_wrapper(self)->file);
  Py_XDECREF(as_wrapper(self)->block);
  Py_TYPE(self)->tp_free(self);
}

PyMethodDef wrapper_methods[] = {
    {"close", wrapper_close, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject wrapper_type = {
    .ob_base = PyVarObject_HEAD_INIT(nullptr, 0).tp_name = "coewsgi.FileWrapper",
    .tp_basicsize = sizeof(FileWrapper),
    .tp_dealloc = wrapper_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = wrapper_traverse,
    .tp_clear = wrapper_clear,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = wrapper_next,
    .tp_methods = wrapper_methods,
    .tp_new = wrapper_new,
};

// An integer that a method of the file gives; -1 where there is none. An exception that is
// set then is a kill.
long long ask_file(PyObject* file, PyObject* method) noexcept {
  const Ref result = Ref::steal(PyObject_CallMethodNoArgs(file, method));
  const long long number = result ? PyLong_AsLongLong(result.get()) : -1;
  if (PyErr_Occurred() != nullptr) {
    if (is_plain_exception()) PyErr_Clear();
    return -1;
  }
  return number;
}

}  // namespace

bool ready_file_wrapper_type() noexcept { return PyType_Ready(&wrapper_type) == 0; }
PyObject* file_wrapper_class() noexcept { return reinterpret_cast<PyObject*>(&wrapper_type); }
bool is_file_wrapper(PyObject* object) noexcept { return Py_IS_TYPE(object, &wrapper_type); }

int send_wrapped_file(Response& response, PyObject* wrapper) noexcept {
  if (response.connection->tls || !response.started || response.head_sent) return 0;
  PyObject* file = as_wrapper(wrapper)->file;
  const auto descriptor = static_cast<int>(ask_file(file, strings.fileno));
  const long long offset = descriptor < 0 ? -1 : ask_file(file, strings.tell);
  if (PyErr_Occurred() != nullptr) return -1;
  struct stat status {};
  if (offset < 0 || fstat(descriptor, &status) < 0 || !S_ISREG(status.st_mode)) return 0;
  std::int64_t size = std::max<std::int64_t>(status.st_size - offset, 0);
  if (response.length >= 0) size = std::min(size, response.length);
  const Sent head = send_head(response, size);
  if (head != Sent::kAll) return head == Sent::kRaised ? -1 : 1;
  if (response.has_no_body) return 1;
  std::int64_t sent = 0;
  const Sent body = send_file(*response.connection, descriptor, offset, size, &sent);
  response.written += sent;
  if (sent < size) response.connection->lost = true;  // the file became shorter meanwhile
  return body == Sent::kRaised ? -1 : 1;
}

}  // namespace coewsgi
