#include "python/monkey/sockets/socket_accept.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdint>

#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/monkey/sockets/socket_layout.h"

namespace coev::python {
namespace {

Ref ipv4_address(const sockaddr_in& address) noexcept {
  char host[INET_ADDRSTRLEN];
  char* end = host;
  for (const std::uint8_t byte : std::bit_cast<std::array<std::uint8_t, 4>>(address.sin_addr)) {
    if (end != host) *end++ = '.';
    end = std::to_chars(end, host + sizeof host, byte).ptr;
  }
  return pair(Ref::steal(PyUnicode_DecodeASCII(host, end - host, nullptr)),
              Ref::steal(PyLong_FromLong(ntohs(address.sin_port))));
}

// Of a listener that is not what its object says: whatever address the peer has.
Ref other_address(PyObject* listener, int fd) noexcept {
  PyObject* connection = borrow_shadow(listener);
  if (connection == nullptr) return {};
  socket_fields(connection).fd = fd;
  Ref address = Ref::steal(PyObject_CallMethod(connection, "getpeername", nullptr));
  return_shadow(connection);
  return address;
}

}  // namespace

Status accept_ipv4(PyObject* listener, int* fd, PyObject** address) noexcept {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  *fd =
      accept4(socket_fields(listener).fd, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
  if (*fd < 0) {
    if (errno == EAGAIN) return Status::kTimedOut;
    PyErr_SetFromErrno(PyExc_OSError);
    return Status::kSystemError;
  }
  *address = (peer.ss_family == AF_INET ? ipv4_address(reinterpret_cast<const sockaddr_in&>(peer))
                                        : other_address(listener, *fd))
                 .release();
  if (*address != nullptr) return Status::kOk;
  close(*fd);
  return Status::kSystemError;
}

}  // namespace coev::python
