// Patience: how one call waits for an fd, as often as the call says that it would block.
//
// The kernel may call an fd ready on which the call blocks all the same: another reader was
// faster, UDP was shut down, a peer's queue of datagrams is full. So after each wake the
// deadline is looked at, and a call that was woken in vain twice within a moment pauses
// before it asks again: no busy loop, whatever the kernel says.
//
// Lives on the stack of the call. THREAD: the scheduler's.
#pragma once

#include <cstdint>

#include "core/status.h"
#include "core/time.h"

namespace coev {

class Scheduler;

class Patience {
 public:
  explicit Patience(Scheduler& scheduler) noexcept : scheduler_(&scheduler) {}

  // Call when the call on `fd` has said that it would block. `owner` as in
  // Readiness::wait. SWITCHES: always, unless the deadline has passed or the wait ends
  // before anybody else is ready. ERRORS: those of Readiness::wait().
  Status wait(int fd, unsigned event, Deadline deadline, const void* owner) noexcept;

  // Whether a wake has already been in vain.
  [[nodiscard]] bool tried() const noexcept { return waits_ > 0; }

 private:
  static constexpr std::int64_t kMomentNs = 200'000;
  static constexpr std::int64_t kShortestPauseNs = 500'000;
  static constexpr std::int64_t kLongestPauseNs = 10'000'000;

  Status pause(Deadline deadline) noexcept;

  Scheduler* scheduler_;  // not owned
  unsigned waits_ = 0;
  std::int64_t last_ns_ = 0;  // when the last wake was found to be in vain
  std::int64_t pause_ns_ = kShortestPauseNs;
};

}  // namespace coev
