#include "core/readiness.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::SocketPair;
using testing::yield_turns;

const int kOwner = 0;  // an address

Status wait_for(int fd, unsigned events, Deadline deadline, const void* owner = nullptr,
                unsigned* ready = nullptr) {
  return here().readiness().wait(fd, events, deadline, owner, ready);
}

class ReadinessOwned : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] const void* owner() const { return GetParam() ? &kOwner : nullptr; }
};

INSTANTIATE_TEST_SUITE_P(Owner, ReadinessOwned, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "Owned" : "Unowned"; });

TEST_P(ReadinessOwned, IsReadyAtOnce) {
  const SocketPair pair;
  pair.write_far('x');
  unsigned ready = 0;
  EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), owner(), &ready), Status::kOk);
  EXPECT_EQ(ready, kReadable);
}

TEST_P(ReadinessOwned, ANumberThatNobodyOpenedIsClosedHoweverLarge) {
  for (const int fd : {1 << 20, 1 << 28, 1 << 30, INT_MAX}) {
    EXPECT_EQ(wait_for(fd, kReadable, Deadline::never(), owner()), Status::kClosed);
    Watch watch;
    watch.fd = fd;
    watch.events = kReadable;
    EXPECT_EQ(here().readiness().wait_any({&watch, 1}, Deadline::never()), Status::kClosed);
  }
}

TEST_P(ReadinessOwned, WaitsUntilDataComes) {
  const SocketPair pair;
  Group group;
  group.spawn([&] {
    yield_turns(3);
    pair.write_far('x');
  });
  EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), owner()), Status::kOk);
}

TEST_P(ReadinessOwned, TimesOutWithoutEvents) {
  const SocketPair pair;
  unsigned ready = 9;
  EXPECT_EQ(wait_for(pair.near(), kReadable, in_ms(2), owner(), &ready), Status::kTimedOut);
  EXPECT_EQ(ready, 0U);
  EXPECT_EQ(wait_for(pair.near(), kReadable, testing::passed(), owner()), Status::kTimedOut);
  pair.write_far('x');
  EXPECT_EQ(wait_for(pair.near(), kReadable, in_ms(5000), owner()), Status::kOk);
}

TEST_P(ReadinessOwned, AnInterruptEndsTheWaitAndTheNextOneWorks) {
  const SocketPair pair;
  Group group;
  std::vector<Status> seen;
  Coroutine& waiter = group.spawn([&] {
    seen.push_back(wait_for(pair.near(), kReadable, Deadline::never(), owner()));
    Scheduler::clear_interrupt(here().current());
    seen.push_back(wait_for(pair.near(), kReadable, Deadline::never(), owner()));
  });
  yield_turns(1);
  here().interrupt(waiter);
  yield_turns(2);
  pair.write_far('x');
  group.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::kInterrupted, Status::kOk}));
}

TEST_P(ReadinessOwned, WritableAndReadableAreToldApart) {
  const SocketPair pair;
  unsigned ready = 0;
  EXPECT_EQ(wait_for(pair.near(), kReadable | kWritable, Deadline::never(), owner(), &ready),
            Status::kOk);
  EXPECT_EQ(ready, kWritable);
  pair.fill_near();
  EXPECT_EQ(wait_for(pair.near(), kWritable, in_ms(2), owner()), Status::kTimedOut);
  pair.write_far('x');
  EXPECT_EQ(wait_for(pair.near(), kReadable | kWritable, Deadline::never(), owner(), &ready),
            Status::kOk);
  EXPECT_EQ(ready, kReadable);
}

TEST_P(ReadinessOwned, HangUpWakesTheReader) {
  SocketPair pair;
  Group group;
  group.spawn([&] { pair.close_far(); });
  EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), owner()), Status::kOk);
}

TEST_P(ReadinessOwned, WaitersOfOneFdAreServedLongestFirst) {
  const SocketPair pair;
  std::string order;
  Group group;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    group.spawn([&, name] {
      EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), owner()), Status::kOk);
      char byte = 0;
      EXPECT_EQ(::read(pair.near(), &byte, 1), 1);
      order += name;
    });
  }
  yield_turns(1);
  pair.write_far("1234", 4);
  group.join();
  EXPECT_EQ(order, "abcd");
}

TEST_P(ReadinessOwned, OneReaderThatLeavesDataDoesNotLoseTheOthersWake) {
  const SocketPair pair;
  int woken = 0;
  Group group;
  for (int i = 0; i < 10; ++i) {
    group.spawn([&] {
      EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), owner()), Status::kOk);
      ++woken;  // reads nothing: the fd stays readable
    });
  }
  yield_turns(1);
  pair.write_far('x');
  group.join();
  EXPECT_EQ(woken, 10);
}

TEST_P(ReadinessOwned, AWaiterForBothDoesNotHideThoseBehindIt) {
  const SocketPair pair;
  std::string order;
  pair.fill_near();
  Group group;
  const auto waits = [&](char name, unsigned events) {
    group.spawn([&, name, events] {
      EXPECT_EQ(wait_for(pair.near(), events, in_ms(5000), owner()), Status::kOk);
      order += name;
    });
  };
  waits('b', kReadable | kWritable);
  waits('r', kReadable);
  waits('w', kWritable);
  yield_turns(2);
  pair.write_far('x');
  pair.drain_far();
  group.join();
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, "brw");
}

TEST_P(ReadinessOwned, AReaderAndAWriterOfOneFdWaitIndependently) {
  const SocketPair pair;
  pair.fill_near();
  std::string order;
  Group group;
  group.spawn([&] {
    EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), owner()), Status::kOk);
    order += 'r';
  });
  group.spawn([&] {
    EXPECT_EQ(wait_for(pair.near(), kWritable, Deadline::never(), owner()), Status::kOk);
    order += 'w';
  });
  yield_turns(2);
  pair.drain_far();
  while (order.empty()) EXPECT_EQ(testing::sleep_ms(1), Status::kTimedOut);
  EXPECT_EQ(order, "w");
  pair.write_far('x');
  group.join();
  EXPECT_EQ(order, "wr");
}

TEST_P(ReadinessOwned, NoWakeIsLostOverManyRoundTrips) {
  const SocketPair pair;
  std::mt19937 random(3);
  Group group;
  int received = 0;
  group.spawn([&] {
    char byte = 0;
    while (received < 2000) {
      const Status status = wait_for(
          pair.near(), kReadable, random() % 5 == 0 ? testing::passed() : in_ms(10'000), owner());
      if (status == Status::kTimedOut) continue;
      ASSERT_EQ(status, Status::kOk);
      while (::read(pair.near(), &byte, 1) == 1) ++received;
    }
  });
  for (int i = 0; i < 2000; ++i) {
    pair.write_far('x');
    if (random() % 3 == 0) yield_turns(static_cast<int>(random() % 4));
  }
  group.join();
}

// --- closing and reusing ------------------------------------------------------

TEST_P(ReadinessOwned, ForgetWakesEveryWaiterWithClosed) {
  const SocketPair pair;
  int closed = 0;
  Group group;
  for (const unsigned events : {kReadable, kWritable, kReadable | kWritable, kReadable}) {
    group.spawn([&, events] {
      pair.fill_near();
      closed += wait_for(pair.near(), events, Deadline::never(), owner()) == Status::kClosed;
    });
  }
  yield_turns(2);
  Readiness::forget(pair.near());
  group.join();
  EXPECT_EQ(closed, 4);
}

TEST_P(ReadinessOwned, ForgetOfAnUnknownFdDoesNothing) {
  Readiness::forget(100'000);
  Readiness::forget(-1);
}

TEST_P(ReadinessOwned, AnFdReusedAfterForgetWaitsForTheNewFile) {
  for (int round = 0; round < 5; ++round) {
    SocketPair old_pair;
    const SocketPair new_pair;
    EXPECT_EQ(wait_for(old_pair.near(), kReadable, in_ms(1), owner()), Status::kTimedOut);
    const int fd = old_pair.near();
    const int keeps_old_file_open = dup(fd);  // and with it what the kernel registered
    Readiness::forget(fd);
    ASSERT_EQ(dup2(new_pair.near(), fd), fd);
    old_pair.write_far('x');
    EXPECT_EQ(wait_for(fd, kReadable, in_ms(2), owner()), Status::kTimedOut);
    Group group;
    group.spawn([&] { new_pair.write_far('y'); });
    EXPECT_EQ(wait_for(fd, kReadable, in_ms(5000), owner()), Status::kOk);
    close(keeps_old_file_open);
  }
}

TEST(Readiness, AnFdReusedBehindOurBackIsRegisteredAnew) {
  for (int round = 0; round < 5; ++round) {
    SocketPair old_pair;
    const SocketPair new_pair;
    const int fd = dup(old_pair.near());
    EXPECT_EQ(wait_for(fd, kReadable, in_ms(1)), Status::kTimedOut);
    close(fd);  // nobody is told
    ASSERT_EQ(dup2(new_pair.near(), fd), fd);
    old_pair.write_far('x');
    EXPECT_EQ(wait_for(fd, kReadable, in_ms(2)), Status::kTimedOut);
    Group group;
    group.spawn([&] { new_pair.write_far('y'); });
    EXPECT_EQ(wait_for(fd, kReadable, in_ms(5000)), Status::kOk);
    close(fd);
  }
}

TEST(Readiness, AnFdReusedWhileSomebodyStillWaitsServesTheNewWaiter) {
  SocketPair old_pair;
  const SocketPair new_pair;
  const int fd = dup(old_pair.near());
  Group group;
  Status stale = Status::kOk;
  Coroutine& waiter = group.spawn([&] { stale = wait_for(fd, kReadable, Deadline::never()); });
  yield_turns(2);
  close(fd);
  ASSERT_EQ(dup2(new_pair.near(), fd), fd);
  int served = 0;
  group.spawn([&] { served += wait_for(fd, kReadable, in_ms(5000)) == Status::kOk; });
  yield_turns(2);
  new_pair.write_far('y');
  while (served == 0) EXPECT_EQ(testing::sleep_ms(1), Status::kTimedOut);
  if (group.live() > 0) here().interrupt(waiter);
  group.join();
  close(fd);
}

TEST(Readiness, ANewOwnerOfTheSameNumberIsRegisteredAnew) {
  SocketPair old_pair;
  const SocketPair new_pair;
  const int other = 0;
  const int fd = dup(old_pair.near());
  EXPECT_EQ(wait_for(fd, kReadable, in_ms(1), &kOwner), Status::kTimedOut);
  close(fd);
  ASSERT_EQ(dup2(new_pair.near(), fd), fd);
  new_pair.write_far('y');
  EXPECT_EQ(wait_for(fd, kReadable, in_ms(5000), &other), Status::kOk);
  Readiness::forget(fd);
  close(fd);
}

TEST_P(ReadinessOwned, AnFdThatIsNotOpenIsClosed) {
  const int fd = open("/dev/null", O_RDONLY);
  close(fd);
  EXPECT_EQ(wait_for(fd, kReadable, Deadline::never(), owner()), Status::kClosed);
  EXPECT_EQ(wait_for(fd, kReadable | kWritable, Deadline::never(), owner()), Status::kClosed);
  EXPECT_EQ(wait_for(-1, kReadable, Deadline::never(), owner()), Status::kClosed);
  const SocketPair pair;
  pair.write_far('x');
  EXPECT_EQ(wait_for(pair.near(), kReadable, in_ms(5000), owner()), Status::kOk);
}

TEST(Readiness, AnFdClosedBeforeTheKernelHeardOfItIsClosed) {
  const SocketPair pair;
  const int fd = dup(pair.near());
  Group group;
  Status reader = Status::kOk;
  group.spawn([&] { reader = wait_for(fd, kReadable, Deadline::never()); });
  group.spawn([&] { close(fd); });
  group.join();
  EXPECT_EQ(reader, Status::kClosed);
}

TEST(Readiness, AnFdClosedDuringAWaitIsClosedForTheNextWaiter) {
  const SocketPair pair;
  pair.fill_near();
  const int fd = dup(pair.near());
  Group group;
  std::vector<Status> seen;
  group.spawn([&] { seen.push_back(wait_for(fd, kReadable, Deadline::never())); });
  yield_turns(2);
  EXPECT_EQ(testing::sleep_ms(1), Status::kTimedOut);
  close(fd);
  group.spawn([&] { seen.push_back(wait_for(fd, kWritable, Deadline::never())); });
  group.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::kClosed, Status::kClosed}));
}

TEST_P(ReadinessOwned, ARegularFileIsAlwaysReady) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const int fd = fileno(file);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(wait_for(fd, kReadable, in_ms(5000), owner()), Status::kOk);
    EXPECT_EQ(wait_for(fd, kWritable, in_ms(5000), owner()), Status::kOk);
  }
  Readiness::forget(fd);
  std::fclose(file);
}

TEST(Readiness, AKeptWatcherDoesNotSpinWhenNobodyWaits) {
  const SocketPair pair;
  pair.write_far('x');
  EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), &kOwner), Status::kOk);
  const auto sleeps = here().stats().sleeps;  // the fd stays readable
  EXPECT_EQ(testing::sleep_ms(20), Status::kTimedOut);
  EXPECT_LT(here().stats().sleeps - sleeps, 5U);
}

TEST(Readiness, ANewKernelQueueIsNotToldOfAnFdThatWasClosedUnnoticed) {
  const SocketPair other;
  SocketPair forgotten;
  auto unnoticed = std::make_unique<SocketPair>();
  for (const SocketPair* pair : {&forgotten, unnoticed.get()}) {
    pair->write_far('x');
    EXPECT_EQ(wait_for(pair->near(), kReadable, Deadline::never(), &kOwner), Status::kOk);
  }
  const int elsewhere = dup(forgotten.near());  // so the kernel goes on telling of it
  Readiness::forget(forgotten.near());
  forgotten.close_near();
  unnoticed.reset();  // its watcher is started still
  forgotten.write_far('y');
  EXPECT_EQ(testing::sleep_ms(20), Status::kTimedOut);  // libev makes a new queue
  other.write_far('x');
  EXPECT_EQ(wait_for(other.near(), kReadable, in_ms(5000), &kOwner), Status::kOk);
  close(elsewhere);
}

TEST(Readiness, DrainedIsClearedByTheNextReadiness) {
  const SocketPair pair;
  Readiness& readiness = here().readiness();
  pair.write_far('x');
  EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), &kOwner), Status::kOk);
  readiness.set_drained(pair.near(), &kOwner);
  EXPECT_TRUE(readiness.drained(pair.near(), &kOwner));
  EXPECT_FALSE(readiness.drained(pair.near(), nullptr));
  EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), &kOwner), Status::kOk);
  EXPECT_FALSE(readiness.drained(pair.near(), &kOwner));
}

TEST(Readiness, AnOwnerCanHaveDrainedBeforeItsFirstWait) {
  const SocketPair pair;
  Readiness& readiness = here().readiness();
  readiness.set_drained(pair.near(), &kOwner);
  EXPECT_TRUE(readiness.drained(pair.near(), &kOwner));
  pair.write_far('x');  // after the read that drained, before the wait
  EXPECT_EQ(wait_for(pair.near(), kReadable, Deadline::never(), &kOwner), Status::kOk);
  EXPECT_FALSE(readiness.drained(pair.near(), &kOwner));
}

TEST(Readiness, DrainedByOneIsNotSaidOfAnotherWhoseWatcherIsStarted) {
  const SocketPair pair;
  const int other = 0;
  Readiness& readiness = here().readiness();
  EXPECT_EQ(wait_for(pair.near(), kReadable, in_ms(1), &other), Status::kTimedOut);
  readiness.set_drained(pair.near(), &kOwner);
  EXPECT_FALSE(readiness.drained(pair.near(), &kOwner));
  EXPECT_FALSE(readiness.drained(pair.near(), &other));
}

TEST(Readiness, DrainedOfANumberThatNobodyOpenedIsNotKept) {
  here().readiness().set_drained(1 << 28, &kOwner);
  EXPECT_FALSE(here().readiness().drained(1 << 28, &kOwner));
}

TEST(Readiness, DrainedDoesNotOutliveTheOwner) {
  const SocketPair pair;
  Readiness& readiness = here().readiness();
  EXPECT_EQ(wait_for(pair.near(), kReadable, in_ms(1), &kOwner), Status::kTimedOut);
  readiness.set_drained(pair.near(), &kOwner);
  EXPECT_EQ(wait_for(pair.near(), kReadable, in_ms(1), nullptr), Status::kTimedOut);
  EXPECT_FALSE(readiness.drained(pair.near(), nullptr));
  EXPECT_FALSE(readiness.drained(pair.near(), &kOwner));
}

}  // namespace
}  // namespace coev
