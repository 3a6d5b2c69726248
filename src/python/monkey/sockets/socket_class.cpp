#include "python/monkey/sockets/socket_class.h"

#include <structmember.h>
#include <unistd.h>

#include <utility>

#include "python/base/arguments.h"
#include "python/base/known_class.h"
#include "python/base/ref.h"
#include "python/monkey/sockets/socket_layout.h"
#include "python/monkey/sockets/socket_methods.h"

namespace coev::python {
namespace {

PyObject* refuse_arguments() noexcept {
  PyErr_BadArgument();
  return nullptr;
}

// socket.socket. Kept for ever.
class SocketClass : public KnownClass {
 public:
  // False with an exception set.
  bool find_slots(PyTypeObject* type) noexcept {
    closed_at_ = slot_offset(type, "_closed");
    io_refs_at_ = slot_offset(type, "_io_refs");
    return closed_at_ >= 0 && io_refs_at_ >= 0;
  }

  [[nodiscard]] PyObject*& closed(PyObject* socket) const noexcept {
    return at(socket, closed_at_);
  }
  [[nodiscard]] PyObject*& io_refs(PyObject* socket) const noexcept {
    return at(socket, io_refs_at_);
  }

 private:
  static PyObject*& at(PyObject* socket, Py_ssize_t offset) noexcept {
    return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(socket) + offset);
  }

  // -1 with an exception set.
  static Py_ssize_t slot_offset(PyTypeObject* type, const char* name) noexcept {
    const Ref slot = Ref::steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), name));
    if (!slot) return -1;
    if (!Py_IS_TYPE(slot.get(), &PyMemberDescr_Type)) {
      PyErr_Format(PyExc_TypeError, "%s is not a slot", name);
      return -1;
    }
    return reinterpret_cast<PyMemberDescrObject*>(slot.get())->d_member->offset;
  }

  Py_ssize_t closed_at_ = 0;
  Py_ssize_t io_refs_at_ = 0;
};

SocketClass& known() noexcept {
  static auto* const one = new SocketClass;
  return *one;
}

PyObject* g_getdefaulttimeout = nullptr;  // of _socket

PyObject* zero() noexcept {
  static PyObject* const number = PyLong_FromLong(0);
  return number;
}

// What socket(family, type, proto, fileno=fd) makes, with those of `listener`, but for
// asking the kernel whether `fd` is a socket. Empty with an exception set.
Ref make_socket(PyObject* listener, int fd) noexcept {
  PyTypeObject* type = known().type();
  Ref made = new_instance(type);
  if (!made) return {};
  PyObject* socket = made.get();
  const SocketFields& fields = socket_fields(listener);
  if (PySys_Audit("socket.__new__", "Oiii", socket, fields.family, fields.type, fields.protocol) <
      0) {
    return {};
  }
  copy_socket(socket, listener);
  socket_fields(socket).fd = fd;
  socket_fields(socket).timeout_ns = -1;
  socket_methods::forget(fd);
  known().io_refs(socket) = Py_NewRef(zero());
  known().closed(socket) = Py_NewRef(Py_False);
  return made;
}

bool set_timeout(PyObject* socket, PyObject* timeout) noexcept {
  auto* type = reinterpret_cast<PyObject*>(socket_type());
  const Ref done = Ref::steal(PyObject_CallMethod(type, "settimeout", "OO", socket, timeout));
  return static_cast<bool>(done);
}

// accept(): listener, socket, getdefaulttimeout. The names are those that the code in
// Python would use, for they may mean something else by now. None: nothing is done.
PyObject* accept_connection(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3) return refuse_arguments();
  PyObject* listener = arguments[0];
  if (!known().is(Py_TYPE(listener)) || !known().is(arguments[1]) ||
      arguments[2] != g_getdefaulttimeout) {
    Py_RETURN_NONE;
  }
  int fd = -1;
  Ref address = Ref::steal(socket_methods::accept(listener, &fd));
  if (!address) return nullptr;
  Ref socket = make_socket(listener, fd);
  if (!socket) ::close(fd);
  const Ref timeout = Ref::steal(socket ? PyObject_CallNoArgs(g_getdefaulttimeout) : nullptr);
  if (!timeout || (timeout.get() != Py_None && !set_timeout(socket.get(), timeout.get()))) {
    return nullptr;
  }
  return pair(static_cast<Ref&&>(socket), static_cast<Ref&&>(address)).release();
}

// False: let the code in Python close it.
PyObject* close_socket(PyObject*, PyObject* socket) {
  if (!known().is(Py_TYPE(socket)) || known().io_refs(socket) != zero()) Py_RETURN_FALSE;
  Py_XSETREF(known().closed(socket), Py_NewRef(Py_True));
  const Ref closed = Ref::steal(socket_methods::close(socket));
  if (!closed) return nullptr;
  Py_RETURN_TRUE;
}

PyObject* know_socket_class(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2 || !PyType_Check(arguments[0]) || !PyTuple_Check(arguments[1])) {
    return refuse_arguments();
  }
  if (g_getdefaulttimeout == nullptr) {
    const Ref module = Ref::steal(PyImport_ImportModule("_socket"));
    g_getdefaulttimeout =
        module ? PyObject_GetAttrString(module.get(), "getdefaulttimeout") : nullptr;
  }
  auto* type = reinterpret_cast<PyTypeObject*>(arguments[0]);
  if (g_getdefaulttimeout == nullptr || !known().find_slots(type) ||
      !known().learn(type, arguments[1])) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* when_socket_made(PyObject*, PyObject* function) {
  socket_methods::call_when_made(function);
  Py_RETURN_NONE;
}

}  // namespace

PyMethodDef socket_class_functions[] = {
    {"_accept_connection", as_method(accept_connection), METH_FASTCALL, nullptr},
    {"_close_socket", close_socket, METH_O, nullptr},
    {"_know_socket_class", as_method(know_socket_class), METH_FASTCALL, nullptr},
    {"_when_socket_made", when_socket_made, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
