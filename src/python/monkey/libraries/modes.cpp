#include "python/monkey/libraries/modes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

Deadline deadline_of(int fd, int option) noexcept {
  const int saved = errno;
  timeval timeout{};
  socklen_t bytes = sizeof timeout;
  const bool known = ::getsockopt(fd, SOL_SOCKET, option, &timeout, &bytes) == 0;
  errno = saved;
  if (!known || (timeout.tv_sec == 0 && timeout.tv_usec == 0)) return Deadline::never();
  return Deadline::after(timeout.tv_sec * 1'000'000'000 + timeout.tv_usec * 1'000);
}

bool wait_until_ready(int fd, short events, unsigned event) noexcept {
  const int saved = errno;
  pollfd look{fd, events, 0};
  const bool ready = ::poll(&look, 1, 0) != 0;
  if (!ready && wait_for(fd, event, Deadline::never()) == Status::kInterrupted) return false;
  errno = saved;
  return true;
}

}  // namespace

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

bool blocks(int fd) noexcept {
  const int saved = errno;
  const int flags = ::fcntl(fd, F_GETFL);
  errno = saved;
  return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

Deadline receive_deadline(int fd) noexcept { return deadline_of(fd, SO_RCVTIMEO); }

Deadline send_deadline(int fd) noexcept { return deadline_of(fd, SO_SNDTIMEO); }

bool wait_for_input(int fd) noexcept { return wait_until_ready(fd, POLLIN, kReadable); }

bool wait_for_room(int fd) noexcept { return wait_until_ready(fd, POLLOUT, kWritable); }

}  // namespace coev::python::libraries
