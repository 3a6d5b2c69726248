// recv, recvfrom, recvmsg, read, readv, and their fortified forms.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/modes.h"
#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

// Calls `attempt`, which does not wait, until it does not fail for want of input.
template <typename Attempt, typename Blocking>
ssize_t receive(int fd, Attempt attempt, Blocking blocking) noexcept {
  ssize_t result = attempt();
  if (result >= 0 || !would_block(errno)) return result;
  if (!blocks(fd)) return result;
  if (!may_wait_here()) return blocking();
  const Deadline deadline = receive_deadline(fd);
  for (unsigned in_vain = 0;; ++in_vain) {
    const Status status = wait_for(fd, kReadable, deadline);
    if (status == Status::kInterrupted) return -1;
    result = attempt();
    if (result >= 0 || !would_block(errno) || deadline.passed()) return result;
    if (in_vain > 2 && pause(in_vain) == Status::kInterrupted) return -1;
  }
}

ssize_t our_recvfrom(int fd, void* buffer, std::size_t bytes, int flags, sockaddr* address,
                     socklen_t* address_bytes) {
  // All of the bytes, however long they take: rare, and libc's own loop.
  if ((flags & (MSG_DONTWAIT | MSG_WAITALL)) != 0) {
    if ((flags & MSG_WAITALL) != 0 && may_wait_here() && blocks(fd)) wait_for_input(fd);
    return ::recvfrom(fd, buffer, bytes, flags, address, address_bytes);
  }
  const auto call = [=](int more) {
    return ::recvfrom(fd, buffer, bytes, flags | more, address, address_bytes);
  };
  return receive(
      fd, [&] { return call(MSG_DONTWAIT); }, [&] { return call(0); });
}

ssize_t our_recv(int fd, void* buffer, std::size_t bytes, int flags) {
  return our_recvfrom(fd, buffer, bytes, flags, nullptr, nullptr);
}

ssize_t our_recv_chk(int fd, void* buffer, std::size_t bytes, std::size_t room, int flags) {
  if (bytes > room) __builtin_trap();  // as a fortified program does
  return our_recv(fd, buffer, bytes, flags);
}

ssize_t our_recvfrom_chk(int fd, void* buffer, std::size_t bytes, std::size_t room, int flags,
                         sockaddr* address, socklen_t* address_bytes) {
  if (bytes > room) __builtin_trap();
  return our_recvfrom(fd, buffer, bytes, flags, address, address_bytes);
}

ssize_t our_recvmsg(int fd, msghdr* message, int flags) {
  if ((flags & (MSG_DONTWAIT | MSG_WAITALL)) != 0) {
    if ((flags & MSG_WAITALL) != 0 && may_wait_here() && blocks(fd)) wait_for_input(fd);
    return ::recvmsg(fd, message, flags);
  }
  // The kernel writes the sizes of what it has filled, also when there was nothing.
  const msghdr given = *message;
  const auto call = [&](int more) {
    *message = given;
    return ::recvmsg(fd, message, flags | more);
  };
  return receive(
      fd, [&] { return call(MSG_DONTWAIT); }, [&] { return call(0); });
}

// What read() does on a socket, without waiting; for all else, after the kernel has said
// that there is something.
template <typename OnSocket, typename Plain>
ssize_t read_from(int fd, OnSocket on_socket, Plain plain) noexcept {
  bool is_socket = true;
  const ssize_t result = receive(
      fd,
      [&]() -> ssize_t {
        const ssize_t received = on_socket();
        if (received >= 0 || errno != ENOTSOCK) return received;
        is_socket = false;
        return -1;
      },
      plain);
  if (result >= 0 || is_socket) return result;
  if (may_wait_here() && blocks(fd) && !wait_for_input(fd)) return -1;
  return plain();
}

ssize_t our_read(int fd, void* buffer, std::size_t bytes) {
  return read_from(
      fd, [=] { return ::recv(fd, buffer, bytes, MSG_DONTWAIT); },
      [=] { return ::read(fd, buffer, bytes); });
}

ssize_t our_read_chk(int fd, void* buffer, std::size_t bytes, std::size_t room) {
  if (bytes > room) __builtin_trap();
  return our_read(fd, buffer, bytes);
}

ssize_t our_readv(int fd, const iovec* buffers, int count) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(buffers);
  message.msg_iovlen = static_cast<std::size_t>(count);
  return read_from(
      fd, [&] { return ::recvmsg(fd, &message, MSG_DONTWAIT); },
      [=] { return ::readv(fd, buffers, count); });
}

}  // namespace

void add_input_calls(std::vector<ImportedFunction>& functions) noexcept {
  functions.insert(
      functions.end(),
      {imported("recv", our_recv), imported("__recv_chk", our_recv_chk),
       imported("recvfrom", our_recvfrom), imported("__recvfrom_chk", our_recvfrom_chk),
       imported("recvmsg", our_recvmsg), imported("read", our_read),
       imported("__read_chk", our_read_chk), imported("readv", our_readv)});
}

}  // namespace coev::python::libraries
