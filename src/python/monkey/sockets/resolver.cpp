#include "python/monkey/sockets/resolver.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstring>

#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/monkey/sockets/socket_layout.h"
#include "python/waiting/blocking.h"
#include "python/waiting/offloading.h"

namespace coev::python::resolver {
namespace {

struct Originals {
  Original getaddrinfo, gethostbyname, gethostbyname_ex, gethostbyaddr, getnameinfo;
};
Originals g_original;

bool is_number(const char* host) noexcept {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

// Whether the original needs nobody to answer it.
bool is_immediate(PyObject* host) noexcept {
  if (host == Py_None) return true;
  if (PyUnicode_Check(host)) {
    const char* text = PyUnicode_AsUTF8(host);
    if (text == nullptr) PyErr_Clear();
    return text == nullptr || *text == '\0' || is_number(text);
  }
  if (PyBytes_Check(host)) return is_number(PyBytes_AS_STRING(host));
  return !PyByteArray_Check(host);  // not a host: the original says so
}

PyObject* call_on_thread(const Original& original, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) noexcept {
  const Ref function = Ref::steal(original.as_function());
  const Ref positional = pack(arguments, count);
  const Ref named = pack_keywords(arguments + count, keywords);
  if (!function || !positional || !named) return nullptr;
  return run_offloaded(function.get(), positional.get(), named.get(), nullptr);
}

template <Original Originals::*original>
PyObject* look_up(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                  PyObject* keywords) {
  const Original& call = g_original.*original;
  const bool immediate = count == 0 ? keywords == nullptr : is_immediate(arguments[0]);
  if (immediate || is_closed()) {
    return call(self, arguments, count, keywords);
  }
  return call_on_thread(call, arguments, count, keywords);
}

// Names of addresses are always looked up somewhere.
template <Original Originals::*original>
PyObject* look_up_name(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  if (is_closed()) {
    return (g_original.*original)(self, arguments, count, keywords);
  }
  return call_on_thread(g_original.*original, arguments, count, keywords);
}

}  // namespace

PyObject* resolve(PyObject* socket, PyObject* address) noexcept {
  const SocketFields& fields = socket_fields(socket);
  const bool internet = fields.family == AF_INET || fields.family == AF_INET6;
  if (!internet || !PyTuple_Check(address) || PyTuple_GET_SIZE(address) < 2 ||
      !g_original.getaddrinfo) {
    return Py_NewRef(address);
  }
  PyObject* host = PyTuple_GET_ITEM(address, 0);
  const bool special =
      PyUnicode_Check(host) && PyUnicode_CompareWithASCIIString(host, "<broadcast>") == 0;
  if (is_immediate(host) || special) return Py_NewRef(address);

  const Ref family = Ref::steal(PyLong_FromLong(fields.family));
  const Ref type = Ref::steal(PyLong_FromLong(fields.type));
  if (!family || !type) return nullptr;
  // A bytearray is a host to connect(), but not to getaddrinfo().
  const Ref name =
      PyByteArray_Check(host) ? Ref::steal(PyBytes_FromObject(host)) : Ref::borrow(host);
  if (!name) return nullptr;
  PyObject* arguments[] = {name.get(), Py_None, family.get(), type.get()};
  const Ref found = Ref::steal(call_on_thread(g_original.getaddrinfo, arguments, 4, nullptr));
  if (!found) return nullptr;
  const Ref first = Ref::steal(PySequence_GetItem(found.get(), 0));
  const Ref resolved = first ? Ref::steal(PySequence_GetItem(first.get(), 4)) : Ref();
  const Ref number = resolved ? Ref::steal(PySequence_GetItem(resolved.get(), 0)) : Ref();
  const Ref rest = Ref::steal(PyTuple_GetSlice(address, 1, PyTuple_GET_SIZE(address)));
  const Ref head = number ? Ref::steal(PyTuple_Pack(1, number.get())) : Ref();
  return head && rest ? PySequence_Concat(head.get(), rest.get()) : nullptr;
}

bool install(PyObject* module) noexcept {
  Originals& o = g_original;
  return retarget<look_up<&Originals::getaddrinfo>>(module, "getaddrinfo", &o.getaddrinfo) &&
         retarget<look_up<&Originals::gethostbyname>>(module, "gethostbyname", &o.gethostbyname) &&
         retarget<look_up<&Originals::gethostbyname_ex>>(module, "gethostbyname_ex",
                                                         &o.gethostbyname_ex) &&
         retarget<look_up_name<&Originals::gethostbyaddr>>(module, "gethostbyaddr",
                                                           &o.gethostbyaddr) &&
         retarget<look_up_name<&Originals::getnameinfo>>(module, "getnameinfo", &o.getnameinfo);
}

}  // namespace coev::python::resolver
