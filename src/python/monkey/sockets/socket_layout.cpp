#include "python/monkey/sockets/socket_layout.h"

#include <cstring>
#include <vector>

#include "python/base/arguments.h"
#include "python/base/ref.h"

namespace coev::python {
namespace {

PyTypeObject* g_socket_type = nullptr;

// Those that no call uses: of several at a time, for what an original asks the user's
// objects may switch. Kept: sockets of C have no cycle to break.
std::vector<PyObject*>& idle_shadows() noexcept {
  static auto* const all = new std::vector<PyObject*>;
  return *all;
}

bool has_number(PyObject* socket, const char* attribute, long wanted) noexcept {
  const Ref value = Ref::steal(PyObject_GetAttrString(socket, attribute));
  return value && PyLong_AsLong(value.get()) == wanted;
}

bool is_as_known(PyObject* socket) noexcept {
  const Ref fd = Ref::steal(PyObject_CallMethod(socket, "fileno", nullptr));
  const Ref set = Ref::steal(PyObject_CallMethod(socket, "settimeout", "d", 2.5));
  if (!fd || !set) return false;
  const SocketFields& fields = socket_fields(socket);
  return fields.fd == PyLong_AsLong(fd.get()) && fields.timeout_ns == 2'500'000'000 &&
         has_number(socket, "family", fields.family) && has_number(socket, "type", fields.type) &&
         has_number(socket, "proto", fields.protocol);
}

}  // namespace

bool check_socket_layout(PyTypeObject* type) noexcept {
  g_socket_type = type;
  const Ref probe = Ref::steal(PyObject_CallNoArgs(reinterpret_cast<PyObject*>(type)));
  if (!probe) return false;
  const bool known = is_as_known(probe.get());
  Ref::steal(PyObject_CallMethod(probe.get(), "close", nullptr));
  if (known) return true;
  if (!PyErr_Occurred()) {
    PyErr_SetString(PyExc_ImportError,
                    "coev does not know how this interpreter lays out its socket objects");
  }
  return false;
}

PyTypeObject* socket_type() noexcept { return g_socket_type; }

void copy_socket(PyObject* to, PyObject* from) noexcept {
  const auto size = static_cast<std::size_t>(g_socket_type->tp_basicsize) - sizeof(PyObject);
  std::memcpy(reinterpret_cast<char*>(to) + sizeof(PyObject),
              reinterpret_cast<char*>(from) + sizeof(PyObject), size);
}

PyObject* borrow_shadow(PyObject* socket) noexcept {
  PyObject* shadow = nullptr;
  if (!idle_shadows().empty()) {
    shadow = idle_shadows().back();
    idle_shadows().pop_back();
  } else {
    shadow = new_instance(g_socket_type).release();
    if (shadow == nullptr) return nullptr;
  }
  copy_socket(shadow, socket);
  socket_fields(shadow).timeout_ns = 0;
  return shadow;
}

void return_shadow(PyObject* shadow) noexcept {
  socket_fields(shadow).fd = -1;
  idle_shadows().push_back(shadow);
}

}  // namespace coev::python
