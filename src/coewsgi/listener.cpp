#include "listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "runtime.h"
#include "server.h"

namespace coewsgi {
namespace {

constexpr double kFirstPause = 0.005;
constexpr double kLongestPause = 1;
constexpr unsigned kMostInARow = 16;  // then those that were accepted have their turn

enum class Accepted : std::uint8_t { kOne, kNone, kOutOfResources, kBroken };

std::string address_of(const sockaddr_storage& address, int* port) noexcept {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address);
    *port = ntohs(ipv4.sin_port);
    inet_ntop(AF_INET, &ipv4.sin_addr, text.data(), text.size());
  } else if (address.ss_family == AF_INET6) {
    const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address);
    *port = ntohs(ipv6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) {  // an IPv4 client of a dual-stack listener
      inet_ntop(AF_INET, &ipv6.sin6_addr.s6_addr[12], text.data(), text.size());
    } else {
      inet_ntop(AF_INET6, &ipv6.sin6_addr, text.data(), text.size());
    }
  }
  return text.data();
}

Accepted accept_one(Listener& listener) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const int fd = accept4(listener.fd, reinterpret_cast<sockaddr*>(&address), &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    switch (errno) {
      case EAGAIN:
        return Accepted::kNone;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return Accepted::kOutOfResources;
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
      case EOPNOTSUPP:
        return Accepted::kBroken;
      default:  // of the connection, which is gone
        return Accepted::kOne;
    }
  }
  coev->forget_fd(fd);
  int port = 0;
  std::string text = address_of(address, &port);
  listener.server.adopt(listener, fd, std::move(text), port);
  return Accepted::kOne;
}

int run_accept_loop(void* argument) noexcept {
  auto& listener = *static_cast<Listener*>(argument);
  Server& server = listener.server;
  double length = kFirstPause;
  unsigned in_a_row = 0;
  for (int result = 0; result >= 0;) {
    if (server.is_full()) {
      if (server.draining()) return 0;
      in_a_row = 0;
      result = coev->park(-1);
      continue;
    }
    switch (accept_one(listener)) {
      case Accepted::kOne:
        length = kFirstPause;
        if (++in_a_row >= kMostInARow) {
          in_a_row = 0;
          result = coev->yield_now();
        }
        break;
      case Accepted::kNone: {
        if (server.draining()) return 0;
        in_a_row = 0;
        constexpr int kEvents = COEV_READABLE | COEV_PERMIT | COEV_CLOSED;
        const int seen = coev->wait_fd_until(listener.fd, kEvents, COEV_NEVER, nullptr);
        if (seen < 0 || (seen & COEV_CLOSED) != 0) return seen < 0 ? -1 : 0;
        break;
      }
      case Accepted::kOutOfResources:
        if (server.draining()) return 0;
        ++server.counters().accept_pauses;
        result = coev->park(length);
        length = std::min(length * 2, kLongestPause);
        break;
      default:
        return 0;
    }
  }
  return -1;
}

void release_accept_loop(void* argument) noexcept {
  auto& listener = *static_cast<Listener*>(argument);
  listener.coroutine.reset();
  listener.server.end();
}

// What accepted sockets inherit. An answer is not delayed; and the kernel takes only so
// much that is not sent yet, which bounds the memory of a slow reader, and makes its progress
// seen: with megabytes in the kernel a client that reads 50 KB/s would let nobody write for 20 s.
void set_tcp_options(int fd) noexcept {
  const int on = 1;
  const int unsent_bytes = 131072;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes);
}

}  // namespace

bool start_accepting(Listener& listener) noexcept {
  set_tcp_options(listener.fd);
  const int flags = fcntl(listener.fd, F_GETFL);
  if (flags < 0 || fcntl(listener.fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return false;
  }
  listener.server.begin();
  PyObject* coroutine = coev->spawn_native(run_accept_loop, &listener, release_accept_loop);
  if (coroutine == nullptr) return false;
  listener.coroutine = Ref::steal(coroutine);
  return true;
}

void wake(Listener& listener) noexcept {
  if (listener.coroutine) coev->unpark(listener.coroutine.get());
}

}  // namespace coewsgi
