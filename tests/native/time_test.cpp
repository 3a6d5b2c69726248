#include "core/time.h"

#include <chrono>
#include <vector>

#include "core/lock.h"
#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::kSecond;
using testing::VirtualTime;

TEST(Deadline, ATimeoutTooLongForTheClockMeansNever) {
  EXPECT_TRUE(Deadline::after(INT64_MAX).is_never());
  EXPECT_TRUE(Deadline::after(INT64_MAX - 1).is_never());
  EXPECT_FALSE(Deadline::after(INT64_MAX - 1).passed());
}

TEST(Deadline, PassesWhenTheClockReachesIt) {
  EXPECT_TRUE(Deadline::after(0).passed());
  EXPECT_TRUE(Deadline::after(-5).passed());
  EXPECT_FALSE(Deadline::after(kSecond).passed());
}

TEST(VirtualTime, SleepsOfHoursTakeNoTime) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<int> order;
  {
    const VirtualTime on;
    const std::int64_t start = now_ns();
    Group group;
    for (const int hours : {3, 1, 2}) {
      group.spawn([&order, hours] {
        EXPECT_EQ(here().sleep_until(Deadline::after(hours * 3600 * kSecond)), Status::kTimedOut);
        order.push_back(hours);
      });
    }
    group.join();
    EXPECT_EQ(now_ns() - start, 3 * 3600 * kSecond);
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(VirtualTime, StandsStillWhileSomebodyIsReady) {
  const VirtualTime on;
  const std::int64_t start = now_ns();
  testing::yield_turns(100);
  EXPECT_EQ(now_ns(), start);
}

TEST(VirtualTime, ABusyRunQueueStillSeesIo) {
  const VirtualTime on;
  const testing::SocketPair pair;
  Group group;
  bool seen = false;
  group.spawn([&] {
    unsigned ready = 0;
    EXPECT_EQ(here().readiness().wait(pair.near(), kReadable, Deadline::never(), nullptr, &ready),
              Status::kOk);
    seen = true;
  });
  testing::yield_turns(2);
  pair.write_far('x');
  for (int i = 0; i < 1000 && !seen; ++i) testing::yield_turns(1);
  EXPECT_TRUE(seen);
}

TEST(VirtualTime, LeavesARealClockThatPollsAgain) {
  {
    const VirtualTime on;
    static_cast<void>(here().sleep_until(Deadline::after(1000 * kSecond)));
  }
  const testing::SocketPair pair;
  Group group;
  bool seen = false;
  group.spawn([&] {
    EXPECT_EQ(here().readiness().wait(pair.near(), kReadable, Deadline::never(), nullptr, nullptr),
              Status::kOk);
    seen = true;
  });
  testing::yield_turns(2);
  pair.write_far('x');
  const Deadline enough = testing::in_ms(5000);
  while (!seen && !enough.passed()) testing::yield_turns(1);
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace coev
