#include "python/waiting/private_fd.h"

#include <pthread.h>
#include <unistd.h>

#include "core/readiness.h"
#include "python/waiting/blocking.h"

namespace coev::python {
namespace {

IntrusiveList<PrivateFd>& open_ones() noexcept {
  static auto* const all = new IntrusiveList<PrivateFd>;
  return *all;
}

}  // namespace

PrivateFd::PrivateFd(int fd) noexcept : fd_(fd) {
  static const int installed = pthread_atfork(nullptr, nullptr, close_all);
  static_cast<void>(installed);
  if (fd_ >= 0) open_ones().push_back(*this);
}

PrivateFd::~PrivateFd() {
  if (linked()) unlink();
  if (fd_ >= 0) close(fd_);
}

Status PrivateFd::wait_readable(Deadline deadline) noexcept {
  Readiness& readiness = thread_state::scheduler().readiness();
  const Status status =
      wait([&] { return readiness.wait(fd_, kReadable, deadline, nullptr, nullptr); });
  if (status != Status::kClosed) return status;
  fd_ = -1;  // not ours any more: it may be somebody's by now
  return Status::kOk;
}

void PrivateFd::close_all() noexcept {
  for (PrivateFd* fd = open_ones().first(); fd != nullptr; fd = open_ones().next(*fd)) {
    close(fd->fd_);
  }
  open_ones().clear();
}

}  // namespace coev::python
