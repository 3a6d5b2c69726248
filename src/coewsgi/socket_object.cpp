#include "socket_object.h"

namespace coewsgi {

PyObject* make_socket_object(int fd) noexcept {
  const Ref module = Ref::steal(PyImport_ImportModule("socket"));
  const Ref make = module ? Ref::steal(PyObject_GetAttrString(module.get(), "socket")) : Ref();
  const Ref arguments = Ref::steal(PyTuple_New(0));
  const Ref keywords = Ref::steal(Py_BuildValue("{s:i}", "fileno", fd));
  if (!make || !arguments || !keywords) return nullptr;
  Ref socket = Ref::steal(PyObject_Call(make.get(), arguments.get(), keywords.get()));
  if (!socket) return nullptr;
  // Accepted with O_NONBLOCK, which would count as the program's wish.
  const Ref done = Ref::steal(PyObject_CallMethod(socket.get(), "setblocking", "i", 1));
  if (done) return socket.release();
  Py_XDECREF(PyObject_CallMethod(socket.get(), "detach", nullptr));
  return nullptr;
}

}  // namespace coewsgi
