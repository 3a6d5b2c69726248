#include "core/timer.h"

#include "core/allocation.h"

namespace coev {

void TimerHeap::place(std::size_t position, Entry entry) noexcept {
  heap_[position] = entry;
  entry.timer->position = position;
}

void TimerHeap::sift_up(std::size_t position, Entry entry) noexcept {
  while (position > 0) {
    const std::size_t parent = (position - 1) / kArity;
    if (heap_[parent].ns <= entry.ns) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, entry);
}

void TimerHeap::sift_down(std::size_t position, Entry entry) noexcept {
  for (;;) {
    const std::size_t first = position * kArity + 1;
    if (first >= heap_.size()) break;
    std::size_t smallest = first;
    for (std::size_t child = first + 1; child < first + kArity && child < heap_.size(); ++child) {
      if (heap_[child].ns < heap_[smallest].ns) smallest = child;
    }
    if (entry.ns <= heap_[smallest].ns) break;
    place(position, heap_[smallest]);
    position = smallest;
  }
  place(position, entry);
}

bool TimerHeap::arm(Timer& timer, Deadline deadline) noexcept {
  const auto grow = [&] { heap_.reserve(2 * heap_.size() + 64); };
  if (heap_.size() == heap_.capacity() && !allocation::try_to(grow)) return false;
  heap_.push_back({});
  sift_up(heap_.size() - 1, {deadline.ns(), &timer});
  return true;
}

void TimerHeap::disarm(Timer& timer) noexcept {
  if (!timer.armed()) return;
  const std::size_t position = timer.position;
  timer.position = Timer::kIdle;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  if (position > 0 && heap_[(position - 1) / kArity].ns > last.ns) {
    sift_up(position, last);
  } else {
    sift_down(position, last);
  }
}

void TimerHeap::clear() noexcept {
  for (const Entry& entry : heap_) entry.timer->position = Timer::kIdle;
  heap_.clear();
}

void TimerHeap::expire(std::int64_t now) noexcept {
  while (!heap_.empty() && heap_.front().ns <= now) {
    Timer& timer = *heap_.front().timer;
    disarm(timer);
    timer.expired(timer);
  }
}

}  // namespace coev
