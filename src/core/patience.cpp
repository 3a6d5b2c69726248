#include "core/patience.h"

#include <algorithm>

#include "core/readiness.h"
#include "core/scheduler.h"

namespace coev {

Status Patience::wait(int fd, unsigned event, Deadline deadline, const void* owner) noexcept {
  if (waits_++ > 0) {
    if (const Status status = pause(deadline); status != Status::kOk) return status;
  }
  return scheduler_->readiness().wait(fd, event, deadline, owner, nullptr);
}

Status Patience::pause(Deadline deadline) noexcept {
  const std::int64_t now = now_ns();
  if (!deadline.is_never() && now >= deadline.ns()) return Status::kTimedOut;
  const bool spins = last_ns_ != 0 && now - last_ns_ < kMomentNs;
  if (spins) {
    const Deadline end = std::min(deadline, Deadline::at(now + pause_ns_));
    pause_ns_ = std::min(2 * pause_ns_, kLongestPauseNs);
    const Status status = scheduler_->sleep_until(end);
    if (status != Status::kTimedOut) return status;
    if (deadline.passed()) return Status::kTimedOut;
  } else {
    pause_ns_ = kShortestPauseNs;
  }
  last_ns_ = spins ? now_ns() : now;
  return Status::kOk;
}

}  // namespace coev
