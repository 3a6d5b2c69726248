// connect, accept, accept4.

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>

#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/modes.h"
#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

// O_NONBLOCK for a moment in which nobody else of this process runs. Leaves errno.
class NonblockingMoment {
 public:
  explicit NonblockingMoment(int fd) noexcept : fd_(fd), flags_(::fcntl(fd, F_GETFL)) {
    if (flags_ >= 0) ::fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK);
  }
  ~NonblockingMoment() {
    const int saved = errno;
    if (flags_ >= 0) ::fcntl(fd_, F_SETFL, flags_);
    errno = saved;
  }
  NonblockingMoment(const NonblockingMoment&) = delete;
  NonblockingMoment& operator=(const NonblockingMoment&) = delete;

 private:
  int fd_;
  int flags_;
};

int connect_at_once(int fd, const sockaddr* address, socklen_t bytes) noexcept {
  const NonblockingMoment moment(fd);
  return ::connect(fd, address, bytes);
}

// How a connection that was begun has ended.
int outcome_of(int fd) noexcept {
  int error = 0;
  socklen_t bytes = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return -1;
  if (error == 0) return 0;
  errno = error;
  return -1;
}

int our_connect(int fd, const sockaddr* address, socklen_t bytes) {
  if (!may_wait_here() || !blocks(fd)) return ::connect(fd, address, bytes);
  const Deadline deadline = send_deadline(fd);
  for (unsigned attempt = 0;; ++attempt) {
    if (connect_at_once(fd, address, bytes) == 0) return 0;
    if (errno == EINPROGRESS) break;
    // A unix socket whose backlog is full: natively the call waits for room.
    if (errno != EAGAIN || deadline.passed()) return -1;
    if (pause(attempt + 1) == Status::kInterrupted) return -1;
  }
  const Status status = wait_for(fd, kWritable, deadline);
  if (status == Status::kInterrupted) return -1;
  if (status == Status::kTimedOut) {
    errno = EINPROGRESS;  // what connect says after SO_SNDTIMEO
    return -1;
  }
  return outcome_of(fd);
}

int our_accept4(int fd, sockaddr* address, socklen_t* bytes, int flags) {
  if (may_wait_here() && blocks(fd) && !wait_for_input(fd)) return -1;
  return ::accept4(fd, address, bytes, flags);
}

int our_accept(int fd, sockaddr* address, socklen_t* bytes) {
  return our_accept4(fd, address, bytes, 0);
}

}  // namespace

void add_connection_calls(std::vector<ImportedFunction>& functions) noexcept {
  functions.insert(functions.end(),
                   {imported("connect", our_connect), imported("accept", our_accept),
                    imported("accept4", our_accept4)});
}

}  // namespace coev::python::libraries
