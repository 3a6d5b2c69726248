// Backoff: how to wait for what the kernel can only be asked about, such as a
// lock on a file: ask, pause, ask again.
//
// The pauses double, so that a short wait ends soon and a long one costs little.
// Whoever gives up has nothing to undo.
#pragma once

#include <algorithm>

#include "python/waiting/blocking.h"

namespace coev::python {

class Backoff {
 public:
  // SWITCHES: always. ERRORS: kInterrupted with an exception set.
  Status pause() noexcept {
    const Deadline end = Deadline::after(pause_ns_);
    pause_ns_ = std::min(2 * pause_ns_, kLongestNs);
    Scheduler& scheduler = thread_state::scheduler();
    const Status status = wait([&] { return scheduler.sleep_until(end); });
    return status == Status::kTimedOut ? Status::kOk : status;
  }

 private:
  static constexpr std::int64_t kLongestNs = 10'000'000;
  std::int64_t pause_ns_ = 500'000;
};

}  // namespace coev::python
