#include "core/lock.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/parking_lot.h"
#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::passed;
using testing::yield_turns;

// Both kinds of lock behave alike; the recursive one is owned by a number.
struct PlainLock {
  bool acquire_free() { return lock.acquire_free(); }
  bool try_acquire() { return lock.try_acquire(); }
  Status acquire(Deadline deadline) { return lock.acquire(deadline); }
  Status release() { return lock.release(); }
  bool locked() { return lock.locked(); }
  Lock lock;
};
struct OwnedLock {
  static RecursiveLock::Owner self() { return here().current().id; }
  bool acquire_free() { return lock.acquire_free(self()); }
  bool try_acquire() { return lock.try_acquire(self()); }
  Status acquire(Deadline deadline) { return lock.acquire(self(), deadline); }
  Status release() { return lock.release(self()); }
  bool locked() { return lock.locked(); }
  RecursiveLock lock;
};

template <typename T>
class AnyLock : public ::testing::Test {
 protected:
  T lock_;
};
using Kinds = ::testing::Types<PlainLock, OwnedLock>;
TYPED_TEST_SUITE(AnyLock, Kinds);

TYPED_TEST(AnyLock, IsFreeAtFirst) {
  EXPECT_FALSE(this->lock_.locked());
  EXPECT_EQ(this->lock_.release(), Status::kNotOwner);
  EXPECT_TRUE(this->lock_.try_acquire());
  EXPECT_TRUE(this->lock_.locked());
  EXPECT_EQ(this->lock_.release(), Status::kOk);
  EXPECT_FALSE(this->lock_.locked());
}

TYPED_TEST(AnyLock, IsPromisedToLongestWaiter) {
  auto& lock = this->lock_;
  std::string order;
  ASSERT_TRUE(lock.try_acquire());
  Group group;
  for (const char name : {'a', 'b', 'c'}) {
    group.spawn([&, name] {
      EXPECT_EQ(lock.acquire(Deadline::never()), Status::kOk);
      order += name;
      yield_turns(2);
      EXPECT_EQ(lock.release(), Status::kOk);
    });
  }
  yield_turns(1);
  group.spawn([&] { EXPECT_FALSE(lock.acquire_free()); });
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_EQ(lock.acquire(Deadline::never()), Status::kOk);  // after those who have waited
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(lock.release(), Status::kOk);
  group.join();
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(AnyLock, IsFreeForWhoeverLooksBeforeItsHeirHasRun) {
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  std::string order;
  Group group;
  for (const char name : {'a', 'b'}) {
    group.spawn([&, name] {
      EXPECT_EQ(lock.acquire(Deadline::never()), Status::kOk);
      order += name;
      EXPECT_EQ(lock.release(), Status::kOk);
    });
  }
  yield_turns(1);
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_FALSE(lock.locked());
  EXPECT_EQ(lock.release(), Status::kNotOwner);
  EXPECT_TRUE(lock.try_acquire());
  yield_turns(2);
  EXPECT_EQ(order, "");  // woken in vain
  EXPECT_EQ(lock.release(), Status::kOk);
  group.join();
  EXPECT_EQ(order, "ab");
}

TYPED_TEST(AnyLock, AnHeirThatCameTooLateStillObeysItsDeadline) {
  const testing::VirtualTime on;
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  Status status = Status::kOk;
  Group group;
  group.spawn([&] { status = lock.acquire(in_ms(5)); });
  yield_turns(1);
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_TRUE(lock.try_acquire());
  group.join();
  EXPECT_EQ(status, Status::kTimedOut);
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(AnyLock, AnHeirThatCameTooLateCanBeInterrupted) {
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  Status status = Status::kOk;
  Group group;
  Coroutine& waiter = group.spawn([&] { status = lock.acquire(Deadline::never()); });
  yield_turns(1);
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_TRUE(lock.try_acquire());
  here().interrupt(waiter);
  group.join();
  EXPECT_EQ(status, Status::kInterrupted);
  EXPECT_EQ(lock.release(), Status::kOk);
}

TYPED_TEST(AnyLock, TimesOutWhileHeld) {
  const testing::VirtualTime on;
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  Group group;
  group.spawn([&] {
    EXPECT_EQ(lock.acquire(passed()), Status::kTimedOut);
    EXPECT_EQ(lock.acquire(in_ms(5)), Status::kTimedOut);
    EXPECT_EQ(lock.acquire(Deadline::never()), Status::kOk);
    EXPECT_EQ(lock.release(), Status::kOk);
  });
  EXPECT_EQ(testing::sleep_ms(10), Status::kTimedOut);
  EXPECT_EQ(lock.release(), Status::kOk);
  group.join();
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(AnyLock, APassedDeadlineTakesAFreeLock) {
  EXPECT_EQ(this->lock_.acquire(passed()), Status::kOk);
}

TYPED_TEST(AnyLock, AHandOffBeatsALaterDeadline) {
  const testing::VirtualTime on;
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  Status status = Status::kTimedOut;
  Group group;
  group.spawn([&] {
    status = lock.acquire(in_ms(5));
    EXPECT_EQ(lock.release(), Status::kOk);
  });
  yield_turns(1);
  EXPECT_EQ(lock.release(), Status::kOk);
  virtual_time::advance_to(now_ns() + testing::kSecond);
  group.join();
  EXPECT_EQ(status, Status::kOk);
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(AnyLock, AHandOffBeatsALaterInterrupt) {
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  Status status = Status::kInterrupted;
  bool pending = false;
  Group group;
  Coroutine& waiter = group.spawn([&] {
    status = lock.acquire(Deadline::never());
    pending = here().current().interrupt_pending;
    EXPECT_EQ(lock.release(), Status::kOk);
  });
  yield_turns(1);
  EXPECT_EQ(lock.release(), Status::kOk);
  here().interrupt(waiter);
  group.join();
  EXPECT_EQ(status, Status::kOk);
  EXPECT_TRUE(pending);
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(AnyLock, AnInterruptBeforeTheHandOffPassesTheLockOn) {
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  std::vector<Status> seen;
  Group group;
  const auto wait = [&] {
    seen.push_back(lock.acquire(Deadline::never()));
    if (seen.back() == Status::kOk) {
      EXPECT_EQ(lock.release(), Status::kOk);
    }
  };
  Coroutine& first = group.spawn(wait);
  group.spawn(wait);
  yield_turns(1);
  here().interrupt(first);
  EXPECT_EQ(lock.release(), Status::kOk);
  group.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::kInterrupted, Status::kOk}));
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(AnyLock, APendingInterruptDoesNotTakeAHeldLock) {
  auto& lock = this->lock_;
  ASSERT_TRUE(lock.try_acquire());
  Group group;
  group.spawn([&] {
    here().interrupt(here().current());
    EXPECT_EQ(lock.acquire(Deadline::never()), Status::kInterrupted);
  });
  group.join();
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_FALSE(lock.locked());
}

TYPED_TEST(AnyLock, LocksOfOneBucketDoNotTakeEachOthersWaiters) {
  auto locks = std::make_unique<std::deque<TypeParam>>(200'000);
  TypeParam* first = &(*locks)[0];
  TypeParam* second = nullptr;
  for (std::size_t i = 1; i < locks->size() && second == nullptr; ++i) {
    if (&parking_lot::queue_of(&(*locks)[i]) == &parking_lot::queue_of(first)) {
      second = &(*locks)[i];
    }
  }
  ASSERT_NE(second, nullptr);
  ASSERT_TRUE(first->try_acquire());
  ASSERT_TRUE(second->try_acquire());
  std::string order;
  Group group;
  group.spawn([&] {
    EXPECT_EQ(first->acquire(Deadline::never()), Status::kOk);
    order += '1';
  });
  group.spawn([&] {
    EXPECT_EQ(second->acquire(Deadline::never()), Status::kOk);
    order += '2';
  });
  yield_turns(1);
  EXPECT_EQ(second->release(), Status::kOk);
  yield_turns(2);
  EXPECT_EQ(order, "2");
  EXPECT_EQ(first->release(), Status::kOk);
  group.join();
  EXPECT_EQ(order, "21");
}

TYPED_TEST(AnyLock, LastReleaseFreesALockWhoseBucketOthersWaitIn) {
  auto locks = std::make_unique<std::deque<TypeParam>>(200'000);
  TypeParam* first = &(*locks)[0];
  TypeParam* second = nullptr;
  for (std::size_t i = 1; i < locks->size() && second == nullptr; ++i) {
    if (&parking_lot::queue_of(&(*locks)[i]) == &parking_lot::queue_of(first)) {
      second = &(*locks)[i];
    }
  }
  ASSERT_NE(second, nullptr);
  ASSERT_TRUE(first->try_acquire());
  Group group;
  group.spawn([&] { EXPECT_EQ(first->acquire(Deadline::never()), Status::kOk); });
  yield_turns(1);
  ASSERT_TRUE(second->try_acquire());
  EXPECT_EQ(second->release(), Status::kOk);
  EXPECT_FALSE(second->locked());
  EXPECT_TRUE(second->try_acquire());
  EXPECT_EQ(first->release(), Status::kOk);
}

TEST(Lock, AnybodyMayReleaseIt) {
  Lock lock;
  ASSERT_TRUE(lock.try_acquire());
  Group group;
  group.spawn([&] { EXPECT_EQ(lock.release(), Status::kOk); });
  EXPECT_EQ(lock.acquire(Deadline::never()), Status::kOk);
}

TEST(RecursiveLock, ItsOwnerMayTakeItAgain) {
  RecursiveLock lock;
  EXPECT_EQ(lock.acquire(1, Deadline::never()), Status::kOk);
  EXPECT_EQ(lock.acquire(1, passed()), Status::kOk);
  EXPECT_TRUE(lock.try_acquire(1));
  EXPECT_EQ(lock.count(), 3U);
  EXPECT_FALSE(lock.try_acquire(2));
  EXPECT_EQ(lock.release(2), Status::kNotOwner);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(lock.locked());
    EXPECT_EQ(lock.release(1), Status::kOk);
  }
  EXPECT_FALSE(lock.locked());
  EXPECT_EQ(lock.release(1), Status::kNotOwner);
}

TEST(RecursiveLock, IsHandedOverTakenOnce) {
  RecursiveLock lock;
  ASSERT_TRUE(lock.try_acquire(1));
  ASSERT_TRUE(lock.try_acquire(1));
  Group group;
  group.spawn([&] {
    EXPECT_EQ(lock.acquire(2, Deadline::never()), Status::kOk);
    EXPECT_EQ(lock.count(), 1U);
    EXPECT_TRUE(lock.owned_by(2));
    EXPECT_EQ(lock.release(2), Status::kOk);
  });
  yield_turns(1);
  EXPECT_EQ(lock.release(1), Status::kOk);
  yield_turns(1);
  EXPECT_TRUE(lock.owned_by(1));
  EXPECT_EQ(lock.release(1), Status::kOk);
  EXPECT_FALSE(lock.owned_by(1));
  group.join();
}

TEST(RecursiveLock, IsGivenUpWholeAndTakenBackAsOften) {
  RecursiveLock lock;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(lock.try_acquire(1));
  Group group;
  group.spawn([&] {
    EXPECT_EQ(lock.acquire(2, Deadline::never()), Status::kOk);
    yield_turns(3);
    EXPECT_EQ(lock.release(2), Status::kOk);
  });
  yield_turns(1);
  const std::uint64_t count = lock.release_all(1);
  EXPECT_EQ(count, 3U);
  EXPECT_FALSE(lock.owned_by(1));
  lock.acquire_all(1, count);
  EXPECT_EQ(lock.count(), 3U);
  EXPECT_TRUE(lock.owned_by(1));
}

TEST(RecursiveLock, TakingBackCannotBeInterrupted) {
  RecursiveLock lock;
  ASSERT_TRUE(lock.try_acquire(1));
  Group group;
  bool pending = false;
  Coroutine& waiter = group.spawn([&] {
    lock.acquire_all(2, 4);
    pending = here().current().interrupt_pending;
    EXPECT_TRUE(lock.owned_by(2));
    EXPECT_EQ(lock.count(), 4U);
  });
  yield_turns(1);
  here().interrupt(waiter);
  yield_turns(2);
  here().interrupt(waiter);
  yield_turns(2);
  EXPECT_EQ(group.live(), 1);
  EXPECT_EQ(lock.release(1), Status::kOk);
  group.join();
  EXPECT_TRUE(pending);
}

}  // namespace
}  // namespace coev
