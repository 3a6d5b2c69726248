#include "core/helper_thread.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::yield_turns;

sigset_t every_signal() {
  sigset_t all;
  sigfillset(&all);
  return all;
}

// A pipe that nobody has written to: reading it blocks, as a cancellation point.
class EmptyPipe {
 public:
  EmptyPipe() { EXPECT_EQ(pipe(ends_.data()), 0); }
  ~EmptyPipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void open() const { EXPECT_EQ(write(ends_[1], "x", 1), 1); }
  static void read_one(void* pipe) {
    auto& self = *static_cast<EmptyPipe*>(pipe);
    char byte = 0;
    if (read(self.ends_[0], &byte, 1) == 1) self.was_read = true;
  }
  std::atomic<bool> was_read{false};

 private:
  std::array<int, 2> ends_{};
};

TEST(HelperThread, RunsTheCallWhileOthersRunHere) {
  EmptyPipe pipe;
  Group group;
  group.spawn([&] {
    HelperThread helper;
    ASSERT_EQ(helper.start(EmptyPipe::read_one, &pipe, every_signal()), Status::kOk);
    EXPECT_EQ(helper.wait(Deadline::never()), Status::kOk);
    EXPECT_TRUE(pipe.was_read);
  });
  yield_turns(5);
  EXPECT_EQ(group.live(), 1);
  pipe.open();
}

TEST(HelperThread, MayBeWaitedForAgainAfterATimeoutOrAnInterrupt) {
  EmptyPipe pipe;
  Group group;
  Coroutine& waiter = group.spawn([&] {
    HelperThread helper;
    ASSERT_EQ(helper.start(EmptyPipe::read_one, &pipe, every_signal()), Status::kOk);
    EXPECT_EQ(helper.wait(in_ms(1)), Status::kTimedOut);
    EXPECT_EQ(helper.wait(Deadline::never()), Status::kInterrupted);
    Scheduler::clear_interrupt(here().current());
    pipe.open();
    EXPECT_EQ(helper.wait(Deadline::never()), Status::kOk);
  });
  EXPECT_EQ(testing::sleep_ms(20), Status::kTimedOut);
  here().interrupt(waiter);
}

TEST(HelperThread, IsCancelledWhenItIsGivenUp) {
  EmptyPipe pipe;
  {
    HelperThread helper;
    ASSERT_EQ(helper.start(EmptyPipe::read_one, &pipe, every_signal()), Status::kOk);
    EXPECT_EQ(helper.wait(in_ms(1)), Status::kTimedOut);
  }
  pipe.open();
  EXPECT_EQ(testing::sleep_ms(5), Status::kTimedOut);
  EXPECT_FALSE(pipe.was_read);
}

TEST(HelperThread, MayBeGivenUpAtAnyMoment) {
  for (int i = 0; i < 200; ++i) {
    EmptyPipe pipe;
    HelperThread helper;
    ASSERT_EQ(helper.start(EmptyPipe::read_one, &pipe, every_signal()), Status::kOk);
    if (i % 2 == 0) pipe.open();
    if (i % 3 == 0) static_cast<void>(helper.wait(in_ms(0)));
    helper.end();
  }
}

TEST(HelperThread, BlocksTheSignalsAsked) {
  sigset_t mask = every_signal();
  HelperThread helper;
  const auto read_mask = [](void* set) {
    pthread_sigmask(SIG_BLOCK, nullptr, static_cast<sigset_t*>(set));
  };
  sigset_t seen;
  sigdelset(&mask, SIGUSR1);
  ASSERT_EQ(helper.start(read_mask, &seen, mask), Status::kOk);
  EXPECT_EQ(helper.wait(Deadline::never()), Status::kOk);
  EXPECT_EQ(sigismember(&seen, SIGTERM), 1);
  EXPECT_EQ(sigismember(&seen, SIGUSR1), 0);
}

}  // namespace
}  // namespace coev
