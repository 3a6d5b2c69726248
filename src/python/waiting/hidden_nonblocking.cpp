#include "python/waiting/hidden_nonblocking.h"

#include <fcntl.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <vector>

namespace coev::python::hidden_nonblocking {
namespace {

std::vector<bool>& hidden() noexcept {  // by fd
  static auto* const fds = new std::vector<bool>;
  return *fds;
}

}  // namespace

bool is_set(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  return fd >= 0 && index < hidden().size() && hidden()[index];
}

bool set(int fd) noexcept {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return false;
  if ((flags & O_NONBLOCK) != 0) return true;
  const auto index = static_cast<std::size_t>(fd);
  if (index >= hidden().size()) hidden().resize(2 * index + 64);
  hidden()[index] = true;
  return fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void forget(int fd) noexcept {
  if (is_set(fd)) hidden()[static_cast<std::size_t>(fd)] = false;
}

void forget_range(int low, int high) noexcept {
  const auto end = static_cast<int>(std::min<std::size_t>(hidden().size(), INT_MAX));
  for (int fd = std::max(low, 0); fd < std::min(high, end); ++fd) forget(fd);
}

void restore(int fd) noexcept {
  if (!is_set(fd)) return;
  forget(fd);
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

}  // namespace coev::python::hidden_nonblocking
