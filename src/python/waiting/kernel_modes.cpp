#include "python/waiting/kernel_modes.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/readiness.h"
#include "python/waiting/hidden_nonblocking.h"

namespace coev::python::kernel_modes {
namespace {

bool g_options_in_use = false;  // accepted sockets inherit them, so of any socket

// 0: none.
std::int64_t timeout_ns(int fd, int option) noexcept {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  constexpr std::int64_t kNsPerMicrosecond = 1'000;
  constexpr std::int64_t kMostSeconds = 1'000'000'000;
  timeval value{};
  socklen_t size = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &size) != 0 || value.tv_sec > kMostSeconds) {
    return 0;
  }
  return value.tv_sec * kNsPerSecond + value.tv_usec * kNsPerMicrosecond;
}

}  // namespace

Deadline deadline(int fd, unsigned event) noexcept {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) != 0 && !hidden_nonblocking::is_set(fd)) {
    return Deadline::at(0);
  }
  if (!g_options_in_use) [[likely]]
    return Deadline::never();
  const std::int64_t ns = timeout_ns(fd, event == kReadable ? SO_RCVTIMEO : SO_SNDTIMEO);
  return ns == 0 ? Deadline::never() : Deadline::after(ns);
}

std::size_t low_water(int fd) noexcept {
  if (!g_options_in_use) [[likely]]
    return 1;
  int bytes = 1;
  socklen_t size = sizeof bytes;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, &size) != 0 || bytes < 1) return 1;
  return static_cast<std::size_t>(bytes);
}

void option_set(int level, int option) noexcept {
  if (level != SOL_SOCKET) return;
  switch (option) {
    case SO_RCVTIMEO_OLD:
    case SO_SNDTIMEO_OLD:
    case SO_RCVTIMEO_NEW:
    case SO_SNDTIMEO_NEW:
    case SO_RCVLOWAT:
      g_options_in_use = true;
      break;
    default:
      break;
  }
}

void look_at(int fd) noexcept {
  if (g_options_in_use || fd < 0) return;
  g_options_in_use = timeout_ns(fd, SO_RCVTIMEO) != 0 || timeout_ns(fd, SO_SNDTIMEO) != 0;
  int bytes = 1;
  socklen_t size = sizeof bytes;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, &size) == 0 && bytes > 1) {
    g_options_in_use = true;
  }
}

}  // namespace coev::python::kernel_modes
