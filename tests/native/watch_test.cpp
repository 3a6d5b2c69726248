// Readiness::wait_any(): one coroutine that waits for several fds.
#include <fcntl.h>

#include <random>
#include <string>
#include <vector>

#include "core/readiness.h"
#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::SocketPair;
using testing::yield_turns;

const int kOwner = 0;  // an address

Status wait_any(const std::vector<std::pair<int, unsigned>>& wanted,
                Deadline deadline = in_ms(5000)) {
  std::vector<Watch> watches(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    watches[i].fd = wanted[i].first;
    watches[i].events = wanted[i].second;
  }
  return here().readiness().wait_any(watches, deadline);
}

Status wait_one(int fd, unsigned events, const void* owner = nullptr) {
  return here().readiness().wait(fd, events, in_ms(5000), owner, nullptr);
}

TEST(Watch, AnyOfTheFdsEndsTheWait) {
  const std::vector<SocketPair> pairs(5);
  for (std::size_t ready = 0; ready < pairs.size(); ++ready) {
    Group group;
    group.spawn([&] { pairs[ready].write_far('x'); });
    std::vector<std::pair<int, unsigned>> wanted;
    for (const SocketPair& pair : pairs) wanted.emplace_back(pair.near(), kReadable);
    EXPECT_EQ(wait_any(wanted), Status::kOk);
    char byte = 0;
    EXPECT_EQ(::read(pairs[ready].near(), &byte, 1), 1);
    EXPECT_EQ(wait_any(wanted, in_ms(2)), Status::kTimedOut);
  }
}

TEST(Watch, OneFdMayBeWatchedForEachEventApart) {
  const SocketPair pair;
  EXPECT_EQ(wait_any({{pair.near(), kReadable}, {pair.near(), kWritable}}), Status::kOk);
  pair.fill_near();
  EXPECT_EQ(wait_any({{pair.near(), kReadable}, {pair.near(), kWritable}}, in_ms(2)),
            Status::kTimedOut);
  pair.write_far('x');
  EXPECT_EQ(wait_any({{pair.near(), kReadable | kWritable}}), Status::kOk);
}

TEST(Watch, NothingToWatchIsASleep) { EXPECT_EQ(wait_any({}, in_ms(1)), Status::kTimedOut); }

TEST(Watch, EverybodyWhoWatchesIsWoken) {
  const SocketPair pair;
  int woken = 0;
  Group group;
  for (int i = 0; i < 4; ++i) {
    group.spawn([&] { woken += wait_any({{pair.near(), kReadable}}) == Status::kOk; });
  }
  group.spawn([&] { woken += wait_one(pair.near(), kReadable) == Status::kOk; });
  yield_turns(2);
  pair.write_far('x');
  group.join();
  EXPECT_EQ(woken, 5);
}

TEST(Watch, AWatcherThatLeavesDoesNotStopTheOthers) {
  const SocketPair pair;
  int woken = 0;
  Group group;
  group.spawn([&] { woken += wait_one(pair.near(), kReadable) == Status::kOk; });
  group.spawn([&] { woken += wait_any({{pair.near(), kReadable}}) == Status::kOk; });
  group.spawn([&] {
    EXPECT_EQ(wait_any({{pair.near(), kReadable}}, in_ms(1)), Status::kTimedOut);
    pair.write_far('x');
  });
  group.join();
  EXPECT_EQ(woken, 2);
}

TEST(Watch, AnInterruptEndsTheWaitAndLeavesNothing) {
  const SocketPair one;
  const SocketPair two;
  Group group;
  std::vector<Status> seen;
  Coroutine& waiter = group.spawn([&] {
    seen.push_back(wait_any({{one.near(), kReadable}, {two.near(), kReadable}}));
    Scheduler::clear_interrupt(here().current());
    seen.push_back(wait_any({{two.near(), kReadable}}));
  });
  yield_turns(1);
  here().interrupt(waiter);
  yield_turns(2);
  one.write_far('x');
  yield_turns(2);
  EXPECT_EQ(seen, std::vector<Status>{Status::kInterrupted});
  two.write_far('x');
  group.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::kInterrupted, Status::kOk}));
}

TEST(Watch, ForgetEndsTheWaitWhateverIsWatched) {
  const SocketPair one;
  const SocketPair two;
  int closed = 0;
  Group group;
  for (const unsigned events : {0U, kReadable, kWritable, kReadable | kWritable}) {
    group.spawn([&, events] {
      two.fill_near();
      closed += wait_any({{one.near(), kReadable}, {two.near(), events}}) == Status::kClosed;
    });
  }
  yield_turns(2);
  Readiness::forget(two.near());
  group.join();
  EXPECT_EQ(closed, 4);
}

TEST(Watch, AnFdReusedDuringTheWaitServesItsNewWaiter) {
  SocketPair old_pair;
  const SocketPair other;
  const SocketPair new_pair;
  const int fd = dup(old_pair.near());
  Group group;
  group.spawn([&] {
    EXPECT_EQ(wait_any({{fd, kReadable}, {other.near(), kReadable}}), Status::kClosed);
  });
  yield_turns(2);
  Readiness::forget(fd);
  ASSERT_EQ(dup2(new_pair.near(), fd), fd);
  int served = 0;
  group.spawn([&] { served += wait_one(fd, kReadable, &kOwner) == Status::kOk; });
  yield_turns(2);
  new_pair.write_far('y');
  group.join();
  EXPECT_EQ(served, 1);
  Readiness::forget(fd);
  close(fd);
}

TEST(Watch, AnFdReusedBehindItsOwnersBackIsRegisteredAnew) {
  const SocketPair old_pair;
  const SocketPair new_pair;
  const int fd = dup(old_pair.near());
  old_pair.write_far('x');
  EXPECT_EQ(wait_one(fd, kReadable, &kOwner), Status::kOk);
  close(fd);  // nobody is told
  ASSERT_EQ(dup2(new_pair.near(), fd), fd);
  new_pair.write_far('y');
  EXPECT_EQ(wait_any({{fd, kReadable}}), Status::kOk);
  Readiness::forget(fd);
  close(fd);
}

TEST(Watch, AnFdThatIsNotOpenIsClosed) {
  const SocketPair pair;
  const int fd = open("/dev/null", O_RDONLY);
  close(fd);
  EXPECT_EQ(wait_any({{pair.near(), kReadable}, {fd, kReadable}}), Status::kClosed);
  EXPECT_EQ(wait_any({{pair.near(), kReadable}, {-1, kReadable}}), Status::kClosed);
}

TEST(Watch, AnOwnersRegistrationStays) {
  const SocketPair pair;
  Readiness& readiness = here().readiness();
  pair.write_far('x');
  EXPECT_EQ(wait_one(pair.near(), kReadable, &kOwner), Status::kOk);
  char byte = 0;
  EXPECT_EQ(::read(pair.near(), &byte, 1), 1);
  readiness.set_drained(pair.near(), &kOwner);
  pair.fill_near();
  EXPECT_EQ(wait_any({{pair.near(), kWritable}}, in_ms(2)), Status::kTimedOut);
  EXPECT_TRUE(readiness.drained(pair.near(), &kOwner));
  Readiness::forget(pair.near());
}

TEST(Watch, NoWakeIsLostOverManyRandomRounds) {
  constexpr int kPairs = 6;
  constexpr int kRounds = 400;
  const std::vector<SocketPair> pairs(kPairs);
  std::mt19937 random(1);
  int taken = 0;
  Group group;
  for (int reader = 0; reader < 3; ++reader) {
    group.spawn([&] {
      while (taken < kRounds) {
        std::vector<std::pair<int, unsigned>> wanted;
        for (const SocketPair& pair : pairs) wanted.emplace_back(pair.near(), kReadable);
        const Status status = wait_any(wanted, in_ms(2000));
        EXPECT_TRUE(status == Status::kOk || taken >= kRounds);
        char byte = 0;
        for (const SocketPair& pair : pairs) {
          taken += ::recv(pair.near(), &byte, 1, MSG_DONTWAIT) == 1 ? 1 : 0;
        }
      }
      pairs[0].write_far('x');  // the others look once more
    });
  }
  group.spawn([&] {
    for (int i = 0; i < kRounds; ++i) {
      pairs[random() % kPairs].write_far('x');
      yield_turns(static_cast<int>(random() % 4));
    }
  });
  group.join();
  EXPECT_GE(taken, kRounds);
}

TEST(Watch, AChildOfAForkForgetsTheParentsWatches) {
  const SocketPair pair;
  Group group;
  group.spawn([&] { EXPECT_EQ(wait_any({{pair.near(), kReadable}}), Status::kOk); });
  yield_turns(2);
  const int status = testing::status_of_child([&] {
    pair.write_far('x');
    const bool fine = wait_any({{pair.near(), kReadable}}) == Status::kOk;
    char byte = 0;
    return fine && ::read(pair.near(), &byte, 1) == 1 ? 0 : 1;
  });
  EXPECT_TRUE(testing::exited_with(status, 0));
  pair.write_far('x');
  group.join();
}

}  // namespace
}  // namespace coev
