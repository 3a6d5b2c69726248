// Counters of one scheduler. Plain integers: only the owning OS thread writes
// them; a reader on another one sees a value that may be a little old.
#pragma once

#include <cstdint>

namespace coev {

struct Stats {
  std::uint64_t switches = 0;       // from one stack to another
  std::uint64_t spawned = 0;        // coroutines started
  std::uint64_t finished = 0;       // coroutines ended
  std::uint64_t parks = 0;          // waits that had to suspend
  std::uint64_t turns = 0;          // passes over the run queue
  std::uint64_t polls = 0;          // looks at the kernel without waiting
  std::uint64_t sleeps = 0;         // looks at the kernel that could wait
  std::uint64_t timeouts = 0;       // waits that a deadline ended
  std::uint64_t interrupts = 0;     // waits that an interrupt ended
  std::uint64_t quota_yields = 0;   // yields forced on a coroutine whose I/O was always ready
  std::uint64_t slots_created = 0;  // spawns that found no finished slot to reuse
};

}  // namespace coev
