#include "waiting.h"

#include <ctime>

namespace evmemcached {

const coev_api* coev = nullptr;

std::int64_t now_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

double Deadline::remaining() const noexcept {
  if (at_ == INT64_MAX) return -1;
  const std::int64_t left = at_ - now_ns();
  return left <= 0 ? 0 : static_cast<double>(left) / 1e9;
}

Waited wait_fd(int fd, int events, Deadline deadline) noexcept {
  const int ready = coev->wait_fd(fd, events, deadline.remaining());
  if (ready < 0) return Waited::kException;
  return ready == 0 ? Waited::kTimedOut : Waited::kReady;
}

}  // namespace evmemcached
