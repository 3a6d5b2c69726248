#include "core/buffer.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/allocation.h"
#include "core/io.h"

namespace coev {
namespace {

bool breaks(Status status) noexcept {
  return status == Status::kSystemError || status == Status::kClosed;
}

}  // namespace

bool BufferedStream::reserve(std::size_t wanted) noexcept {
  const std::size_t room = wanted > chunk_bytes_ ? wanted : chunk_bytes_;
  if (buffer_.size() - begin_ >= room) return true;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() >= room) return true;
  // Twice as much at least: a search for a delimiter asks byte by byte.
  return allocation::try_to([&] { buffer_.resize(std::max(room, 2 * buffer_.size())); });
}

// Reads until at least `wanted` bytes are there.
Status BufferedStream::fill(std::size_t wanted, Deadline deadline) noexcept {
  if (unread() >= wanted) return Status::kOk;
  if (fd_ < 0 || read_failed_) return Status::kClosed;
  while (unread() < wanted) {
    // A peer may announce any length: memory follows what has come, not the promise.
    const std::size_t room = std::max(chunk_bytes_, 2 * unread());
    if (!reserve(std::min(wanted, room))) return Status::kNoMemory;
    std::size_t count = 0;
    const Status status =
        io::receive(fd_, buffer_.data() + end_, buffer_.size() - end_, 0, owner_, deadline, &count);
    read_failed_ = breaks(status);
    if (status != Status::kOk) return status;
    if (count == 0) return Status::kEndOfStream;
    end_ += count;
  }
  return Status::kOk;
}

void BufferedStream::take(std::size_t count, std::string_view* bytes) noexcept {
  *bytes = {buffer_.data() + begin_, count};
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

Status BufferedStream::read_some(std::size_t at_most, Deadline deadline,
                                 std::string_view* bytes) noexcept {
  const Status status = fill(at_most == 0 ? 0 : 1, deadline);
  if (status != Status::kOk) return status;
  take(unread() < at_most ? unread() : at_most, bytes);
  return Status::kOk;
}

Status BufferedStream::read_exactly(std::size_t count, Deadline deadline,
                                    std::string_view* bytes) noexcept {
  const Status status = fill(count, deadline);
  if (status != Status::kOk) return status;
  take(count, bytes);
  return Status::kOk;
}

Status BufferedStream::read_until(std::string_view delimiter, std::size_t limit, Deadline deadline,
                                  std::string_view* bytes) noexcept {
  std::size_t searched = 0;  // no delimiter begins before this offset
  for (;;) {
    const std::string_view unread_bytes{buffer_.data() + begin_, unread()};
    const std::size_t found = unread_bytes.find(delimiter, searched);
    if (found != std::string_view::npos) {
      const std::size_t count = found + delimiter.size();
      if (count > limit) return Status::kLimit;
      take(count, bytes);
      return Status::kOk;
    }
    if (unread() >= limit) return Status::kLimit;
    searched = unread() < delimiter.size() ? 0 : unread() - delimiter.size() + 1;
    const Status status = fill(unread() + 1, deadline);
    if (status != Status::kOk) return status;
  }
}

Status BufferedStream::send_from(const char* bytes, std::size_t count, std::size_t* sent,
                                 Deadline deadline) noexcept {
  if (*sent < count && (fd_ < 0 || write_failed_)) return Status::kClosed;
  while (*sent < count) {
    std::size_t step = 0;
    const Status status =
        io::send(fd_, bytes + *sent, count - *sent, MSG_NOSIGNAL, owner_, deadline, &step);
    write_failed_ = breaks(status);
    if (status != Status::kOk) return status;
    *sent += step;
  }
  return Status::kOk;
}

Status BufferedStream::flush(Deadline deadline) noexcept {
  const Status status = send_from(pending_.data(), pending_.size(), &sent_, deadline);
  if (status != Status::kOk) return status;
  pending_.clear();
  sent_ = 0;
  return Status::kOk;
}

Status BufferedStream::write(std::string_view bytes, Deadline deadline) noexcept {
  if (sent_ > unsent()) {  // a slow peer must not keep what it has got
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  const auto collect = [&] { pending_.insert(pending_.end(), bytes.begin(), bytes.end()); };
  if (!allocation::try_to(collect)) return Status::kNoMemory;
  return unsent() >= chunk_bytes_ ? flush(deadline) : Status::kOk;
}

}  // namespace coev
