// How the functions of the C API wait, and what they return: 1 done, 0 timed out, -1 with an
// exception set.
#pragma once

#include "core/scheduler.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"

namespace coev::python {

inline int outcome(Status status) noexcept {
  if (status == Status::kOk) return 1;
  if (status == Status::kTimedOut) return 0;
  raise(status);
  return -1;
}

// Runs `operation` until it is not merely interrupted.
template <typename Operation>
int block(Operation operation) noexcept {
  if (!can_block()) return -1;
  thread_state::ensure_scheduler();
  return outcome(wait(operation));
}

}  // namespace coev::python
