// Timers: a heap of absolute deadlines.
//
// A Timer lives inside what it times out; the heap owns none. Arming and
// disarming cost O(log n) and allocate only when the heap grows past its
// largest size so far. THREAD: the owning scheduler's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/time.h"

namespace coev {

struct Timer {
  using Callback = void (*)(Timer& timer) noexcept;

  Callback expired = nullptr;  // must not switch
  std::size_t position = kIdle;

  static constexpr std::size_t kIdle = SIZE_MAX;
  [[nodiscard]] bool armed() const noexcept { return position != kIdle; }
};

class TimerHeap {
 public:
  // REQUIRES: !timer.armed(). ERRORS: false without memory.
  [[nodiscard]] bool arm(Timer& timer, Deadline deadline) noexcept;
  void disarm(Timer& timer) noexcept;  // nothing happens if it is not armed

  // Disarms and calls back every timer whose deadline is not after `now`.
  void expire(std::int64_t now) noexcept;

  [[nodiscard]] Deadline next() const noexcept {
    return heap_.empty() ? Deadline::never() : Deadline::at(heap_.front().ns);
  }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

  // Disarms all without calling back (after fork).
  void clear() noexcept;

 private:
  struct Entry {
    std::int64_t ns;
    Timer* timer;
  };
  static constexpr std::size_t kArity = 4;  // a shallow tree: fewer cache lines a move
  void place(std::size_t position, Entry entry) noexcept;
  void sift_up(std::size_t position, Entry entry) noexcept;
  void sift_down(std::size_t position, Entry entry) noexcept;

  std::vector<Entry> heap_;
};

}  // namespace coev
