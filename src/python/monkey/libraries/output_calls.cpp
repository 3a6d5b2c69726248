// send, sendto, sendmsg, write, writev.
//
// A blocking call sends all that it was given, so the bytes that the kernel did not take
// at once are sent after waits.

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "python/monkey/libraries/calls.h"
#include "python/monkey/libraries/modes.h"
#include "python/monkey/libraries/native_wait.h"

namespace coev::python::libraries {
namespace {

// `attempt(sent)` sends what is left, without waiting. Returns how much was sent, or -1
// if nothing was.
template <typename Attempt>
ssize_t send_rest(int fd, std::size_t bytes, std::size_t sent, Attempt attempt) noexcept {
  const Deadline deadline = send_deadline(fd);
  for (unsigned in_vain = 0; sent < bytes || bytes == 0; ++in_vain) {
    const Status status = wait_for(fd, kWritable, deadline);
    // Part of the bytes may be out: then the caller is told of that part, as natively
    // after a signal, and of the interrupt by its next call.
    if (status == Status::kInterrupted) return sent > 0 ? static_cast<ssize_t>(sent) : -1;
    const ssize_t now = attempt(sent);
    if (now >= 0) {
      sent += static_cast<std::size_t>(now);
      in_vain = 0;
      if (bytes == 0) break;
      continue;
    }
    if (!would_block(errno) || deadline.passed()) {
      return sent > 0 ? static_cast<ssize_t>(sent) : -1;
    }
    if (in_vain > 2 && pause(in_vain) == Status::kInterrupted) {
      return sent > 0 ? static_cast<ssize_t>(sent) : -1;
    }
  }
  return static_cast<ssize_t>(sent);
}

template <typename Attempt, typename Blocking>
ssize_t send_all(int fd, std::size_t bytes, Attempt attempt, Blocking blocking) noexcept {
  const ssize_t first = attempt(0);
  const std::size_t sent = first < 0 ? 0 : static_cast<std::size_t>(first);
  if (first >= 0 ? sent >= bytes : !would_block(errno)) return first;
  if (!blocks(fd)) return first;
  if (!may_wait_here()) {
    const ssize_t rest = blocking(sent);
    return rest < 0 ? first : rest + static_cast<ssize_t>(sent);
  }
  return send_rest(fd, bytes, sent, attempt);
}

ssize_t our_sendto(int fd, const void* buffer, std::size_t bytes, int flags,
                   const sockaddr* address, socklen_t address_bytes) {
  const auto* data = static_cast<const char*>(buffer);
  const auto call = [=](std::size_t sent, int more) {
    return ::sendto(fd, data + sent, bytes - sent, flags | more, address, address_bytes);
  };
  if ((flags & MSG_DONTWAIT) != 0) return call(0, 0);
  return send_all(
      fd, bytes, [&](std::size_t sent) { return call(sent, MSG_DONTWAIT); },
      [&](std::size_t sent) { return call(sent, 0); });
}

ssize_t our_send(int fd, const void* buffer, std::size_t bytes, int flags) {
  return our_sendto(fd, buffer, bytes, flags, nullptr, 0);
}

// What is left of `buffers` after `sent` bytes.
std::vector<iovec> rest_of(const iovec* buffers, std::size_t count, std::size_t sent) noexcept {
  std::vector<iovec> rest(buffers, buffers + count);
  for (iovec& buffer : rest) {
    const std::size_t skipped = std::min(sent, buffer.iov_len);
    buffer.iov_base = static_cast<char*>(buffer.iov_base) + skipped;
    buffer.iov_len -= skipped;
    sent -= skipped;
  }
  return rest;
}

std::size_t total(const iovec* buffers, std::size_t count) noexcept {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) bytes += buffers[i].iov_len;
  return bytes;
}

ssize_t our_sendmsg(int fd, const msghdr* message, int flags) {
  const auto call = [=](std::size_t sent, int more) {
    if (sent == 0) return ::sendmsg(fd, message, flags | more);
    std::vector<iovec> rest = rest_of(message->msg_iov, message->msg_iovlen, sent);
    msghdr later = *message;
    later.msg_iov = rest.data();
    later.msg_control = nullptr;  // went with the first bytes
    later.msg_controllen = 0;
    return ::sendmsg(fd, &later, flags | more);
  };
  if ((flags & MSG_DONTWAIT) != 0) return call(0, 0);
  return send_all(
      fd, total(message->msg_iov, message->msg_iovlen),
      [&](std::size_t sent) { return call(sent, MSG_DONTWAIT); },
      [&](std::size_t sent) { return call(sent, 0); });
}

// On what is no socket, after the kernel has said that there is room.
template <typename OnSocket, typename Plain>
ssize_t write_to(int fd, OnSocket on_socket, Plain plain) noexcept {
  const ssize_t sent = on_socket();
  if (sent >= 0 || errno != ENOTSOCK) return sent;
  if (may_wait_here() && blocks(fd) && !wait_for_room(fd)) return -1;
  return plain();
}

ssize_t our_write(int fd, const void* buffer, std::size_t bytes) {
  return write_to(
      fd, [=] { return our_send(fd, buffer, bytes, 0); },
      [=] { return ::write(fd, buffer, bytes); });
}

ssize_t our_writev(int fd, const iovec* buffers, int count) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(buffers);
  message.msg_iovlen = static_cast<std::size_t>(count);
  return write_to(
      fd, [&] { return our_sendmsg(fd, &message, 0); },
      [=] { return ::writev(fd, buffers, count); });
}

}  // namespace

void add_output_calls(std::vector<ImportedFunction>& functions) noexcept {
  functions.insert(functions.end(), {imported("send", our_send), imported("sendto", our_sendto),
                                     imported("sendmsg", our_sendmsg), imported("write", our_write),
                                     imported("writev", our_writev)});
}

}  // namespace coev::python::libraries
