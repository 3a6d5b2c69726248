// A buffered stream over an fd, for code that speaks a protocol: read exactly,
// read up to a delimiter, collect writes and send them together.
//
// It does not own the fd. One coroutine reads and one writes at a time; the
// caller sees to that. After kSystemError or kClosed that direction is broken:
// bytes may be half sent or half read, so further calls fail with kClosed. Bytes
// read before can still be taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "core/time.h"

namespace coev {

class BufferedStream {
 public:
  static constexpr std::size_t kDefaultBytes = 16 * 1024;

  // `owner` as in Readiness::wait.
  BufferedStream(int fd, const void* owner, std::size_t buffer_bytes = kDefaultBytes) noexcept
      : fd_(fd), owner_(owner), chunk_bytes_(buffer_bytes) {}

  // All reads: SWITCHES: only if the bytes are not there yet. The view is valid
  // until the next read. ERRORS: kTimedOut and kInterrupted (nothing consumed:
  // the call may be repeated), kEndOfStream (the bytes before it stay readable),
  // kClosed, kSystemError, kNoMemory.
  Status read_some(std::size_t at_most, Deadline deadline, std::string_view* bytes) noexcept;
  Status read_exactly(std::size_t count, Deadline deadline, std::string_view* bytes) noexcept;
  // Up to and with `delimiter`. ERRORS: also kLimit, when it is not among the
  // next `limit` bytes. REQUIRES: a delimiter that is not empty.
  Status read_until(std::string_view delimiter, std::size_t limit, Deadline deadline,
                    std::string_view* bytes) noexcept;

  // Collects; sends what was collected when it exceeds the buffer.
  // SWITCHES: only if it sends and the kernel's buffer is full. ERRORS:
  // kTimedOut and kInterrupted (flush() continues where it stopped), kClosed,
  // kSystemError, kNoMemory.
  Status write(std::string_view bytes, Deadline deadline) noexcept;
  Status flush(Deadline deadline) noexcept;

  [[nodiscard]] std::size_t unread() const noexcept { return end_ - begin_; }
  [[nodiscard]] std::size_t unsent() const noexcept { return pending_.size() - sent_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

  // The fd was closed or handed to somebody else.
  void detach() noexcept { fd_ = -1; }

 private:
  Status fill(std::size_t wanted, Deadline deadline) noexcept;
  bool reserve(std::size_t wanted) noexcept;
  void take(std::size_t count, std::string_view* bytes) noexcept;
  Status send_from(const char* bytes, std::size_t count, std::size_t* sent,
                   Deadline deadline) noexcept;

  int fd_;
  const void* owner_;  // not owned
  std::size_t chunk_bytes_;
  std::vector<char> buffer_;  // unread bytes: [begin_, end_)
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<char> pending_;  // collected writes: from sent_ on
  std::size_t sent_ = 0;
  bool read_failed_ = false;
  bool write_failed_ = false;
};

}  // namespace coev
