#include "core/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace coev {
namespace {

struct Recorded : Timer {
  Recorded() { expired = record; }
  static void record(Timer& timer) noexcept {
    auto& self = static_cast<Recorded&>(timer);
    ++self.times;
    if (self.then != nullptr) self.then(self);
  }
  int times = 0;
  std::int64_t ns = 0;
  void (*then)(Recorded&) = nullptr;
  TimerHeap* heap = nullptr;
  Recorded* other = nullptr;
};

TEST(TimerHeap, NextIsNeverWhenEmpty) {
  TimerHeap heap;
  EXPECT_TRUE(heap.next().is_never());
  heap.expire(INT64_MAX);
  EXPECT_EQ(heap.size(), 0U);
}

TEST(TimerHeap, ExpiresWhatIsNotAfterNow) {
  TimerHeap heap;
  Recorded early, exact, late;
  ASSERT_TRUE(heap.arm(late, Deadline::at(11)));
  ASSERT_TRUE(heap.arm(early, Deadline::at(9)));
  ASSERT_TRUE(heap.arm(exact, Deadline::at(10)));
  heap.expire(10);
  EXPECT_EQ(early.times, 1);
  EXPECT_EQ(exact.times, 1);
  EXPECT_EQ(late.times, 0);
  EXPECT_EQ(heap.next().ns(), 11);
  EXPECT_FALSE(early.armed());
  EXPECT_TRUE(late.armed());
}

TEST(TimerHeap, DisarmingAnIdleTimerDoesNothing) {
  TimerHeap heap;
  Recorded timer;
  heap.disarm(timer);
  ASSERT_TRUE(heap.arm(timer, Deadline::at(1)));
  heap.disarm(timer);
  heap.disarm(timer);
  heap.expire(INT64_MAX);
  EXPECT_EQ(timer.times, 0);
}

TEST(TimerHeap, ACallbackMayArmItsTimerAgain) {
  TimerHeap heap;
  Recorded timer;
  timer.heap = &heap;
  timer.then = [](Recorded& self) {
    if (self.times < 3) {
      ASSERT_TRUE(self.heap->arm(self, Deadline::at(self.times * 10)));
    }
  };
  ASSERT_TRUE(heap.arm(timer, Deadline::at(0)));
  heap.expire(5);
  EXPECT_EQ(timer.times, 1);
  heap.expire(30);
  EXPECT_EQ(timer.times, 3);
  EXPECT_EQ(heap.size(), 0U);
}

TEST(TimerHeap, ACallbackMayDisarmAnotherTimerThatIsDue) {
  TimerHeap heap;
  Recorded first, second;
  first.heap = &heap;
  first.other = &second;
  first.then = [](Recorded& self) { self.heap->disarm(*self.other); };
  ASSERT_TRUE(heap.arm(first, Deadline::at(1)));
  ASSERT_TRUE(heap.arm(second, Deadline::at(2)));
  heap.expire(10);
  EXPECT_EQ(first.times, 1);
  EXPECT_EQ(second.times, 0);
}

TEST(TimerHeap, ClearDisarmsWithoutCallingBack) {
  TimerHeap heap;
  Recorded timer;
  ASSERT_TRUE(heap.arm(timer, Deadline::at(1)));
  heap.clear();
  EXPECT_FALSE(timer.armed());
  EXPECT_TRUE(heap.next().is_never());
  heap.expire(10);
  EXPECT_EQ(timer.times, 0);
}

TEST(TimerHeap, AgreesWithASortedModelUnderRandomUse) {
  std::mt19937 random(7);
  TimerHeap heap;
  std::vector<Recorded> timers(300);
  std::int64_t now = 0;
  for (int step = 0; step < 20'000; ++step) {
    Recorded& timer = timers[random() % timers.size()];
    if (timer.armed()) {
      heap.disarm(timer);
    } else {
      timer.ns = now + static_cast<std::int64_t>(random() % 1000);
      ASSERT_TRUE(heap.arm(timer, Deadline::at(timer.ns)));
    }
    if (step % 50 == 0) {
      now += static_cast<std::int64_t>(random() % 200);
      std::vector<std::pair<Recorded*, int>> due;
      for (Recorded& each : timers) {
        if (each.armed() && each.ns <= now) due.emplace_back(&each, each.times);
      }
      heap.expire(now);
      for (const auto& [each, times] : due) ASSERT_EQ(each->times, times + 1);
    }
    std::int64_t earliest = INT64_MAX;
    std::size_t armed = 0;
    for (const Recorded& each : timers) {
      if (!each.armed()) continue;
      ++armed;
      earliest = std::min(earliest, each.ns);
    }
    ASSERT_EQ(heap.size(), armed);
    ASSERT_EQ(heap.next().is_never() ? INT64_MAX : heap.next().ns(), earliest);
  }
}

}  // namespace
}  // namespace coev
