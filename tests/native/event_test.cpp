#include "core/event.h"

#include <string>
#include <vector>

#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::passed;
using testing::yield_turns;

TEST(Event, WaitReturnsAtOnceWhenSet) {
  Event event;
  event.set();
  EXPECT_EQ(event.wait(passed()), Status::kOk);
  event.clear();
  EXPECT_EQ(event.wait(passed()), Status::kTimedOut);
}

TEST(Event, SetWakesEveryWaiterInOrder) {
  Event event;
  std::string order;
  Group group;
  for (const char name : {'a', 'b', 'c'}) {
    group.spawn([&, name] {
      EXPECT_EQ(event.wait(Deadline::never()), Status::kOk);
      order += name;
    });
  }
  yield_turns(1);
  event.set();
  group.join();
  EXPECT_EQ(order, "abc");
}

TEST(Event, WaitTimesOut) {
  const testing::VirtualTime on;
  Event event;
  EXPECT_EQ(event.wait(in_ms(5)), Status::kTimedOut);
}

TEST(Event, ASetBeatsALaterInterruptAndDeadline) {
  const testing::VirtualTime on;
  Event event;
  Status status = Status::kTimedOut;
  Group group;
  Coroutine& waiter = group.spawn([&] { status = event.wait(in_ms(5)); });
  yield_turns(1);
  event.set();
  event.clear();
  here().interrupt(waiter);
  virtual_time::advance_to(now_ns() + testing::kSecond);
  group.join();
  EXPECT_EQ(status, Status::kOk);
}

TEST(Event, AnInterruptedWaiterLeaves) {
  Event event;
  Status status = Status::kOk;
  Group group;
  Coroutine& waiter = group.spawn([&] { status = event.wait(Deadline::never()); });
  yield_turns(1);
  here().interrupt(waiter);
  event.set();
  group.join();
  EXPECT_EQ(status, Status::kInterrupted);
}

TEST(Semaphore, GivesAsManyPermitsAsItHas) {
  Semaphore semaphore(2);
  EXPECT_TRUE(semaphore.try_acquire());
  EXPECT_EQ(semaphore.acquire(passed()), Status::kOk);
  EXPECT_FALSE(semaphore.try_acquire());
  EXPECT_EQ(semaphore.acquire(passed()), Status::kTimedOut);
  semaphore.release(3);
  EXPECT_EQ(semaphore.permits(), 3);
}

TEST(Semaphore, HandsPermitsToLongestWaiters) {
  Semaphore semaphore(0);
  std::string order;
  Group group;
  for (const char name : {'a', 'b', 'c'}) {
    group.spawn([&, name] {
      EXPECT_EQ(semaphore.acquire(Deadline::never()), Status::kOk);
      order += name;
    });
  }
  yield_turns(1);
  semaphore.release(2);
  EXPECT_FALSE(semaphore.try_acquire());
  yield_turns(2);
  EXPECT_EQ(order, "ab");
  semaphore.release(2);
  group.join();
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(semaphore.permits(), 1);
}

TEST(Semaphore, APermitHandedOverBeatsALaterInterrupt) {
  Semaphore semaphore(0);
  Status status = Status::kInterrupted;
  Group group;
  Coroutine& waiter = group.spawn([&] { status = semaphore.acquire(Deadline::never()); });
  yield_turns(1);
  semaphore.release();
  here().interrupt(waiter);
  group.join();
  EXPECT_EQ(status, Status::kOk);
  EXPECT_EQ(semaphore.permits(), 0);
}

TEST(Semaphore, AnInterruptedWaiterTakesNoPermit) {
  Semaphore semaphore(0);
  Status status = Status::kOk;
  Group group;
  Coroutine& waiter = group.spawn([&] { status = semaphore.acquire(Deadline::never()); });
  yield_turns(1);
  here().interrupt(waiter);
  semaphore.release();
  group.join();
  EXPECT_EQ(status, Status::kInterrupted);
  EXPECT_EQ(semaphore.permits(), 1);
}

TEST(Semaphore, ATimedOutWaiterTakesNoPermit) {
  const testing::VirtualTime on;
  Semaphore semaphore(0);
  EXPECT_EQ(semaphore.acquire(in_ms(5)), Status::kTimedOut);
  semaphore.release();
  EXPECT_EQ(semaphore.permits(), 1);
}

// --- conditions ---------------------------------------------------------------

// A condition with its lock, used as Python uses them.
struct Monitor {
  Status wait(Deadline deadline) {
    const Status status =
        condition.wait(deadline, [this] { EXPECT_EQ(lock.release(), Status::kOk); });
    InterruptShield shield(here().current());
    while (lock.acquire(Deadline::never()) != Status::kOk) shield.absorb();
    return status;
  }
  Lock lock;
  Condition condition;
};

TEST(Condition, NotifyWakesTheLongestWaiters) {
  Monitor monitor;
  std::string order;
  Group group;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    group.spawn([&, name] {
      EXPECT_EQ(monitor.lock.acquire(Deadline::never()), Status::kOk);
      EXPECT_EQ(monitor.wait(Deadline::never()), Status::kOk);
      EXPECT_TRUE(monitor.lock.locked());
      order += name;
      EXPECT_EQ(monitor.lock.release(), Status::kOk);
    });
  }
  yield_turns(3);
  EXPECT_EQ(monitor.condition.waiters(), 4U);
  EXPECT_EQ(monitor.condition.notify(1), 1U);
  yield_turns(3);
  EXPECT_EQ(order, "a");
  EXPECT_EQ(monitor.condition.notify(100), 3U);
  EXPECT_EQ(monitor.condition.notify(1), 0U);
  group.join();
  EXPECT_EQ(order, "abcd");
}

TEST(Condition, WaitTimesOutWithTheLockTakenBack) {
  const testing::VirtualTime on;
  Monitor monitor;
  ASSERT_TRUE(monitor.lock.try_acquire());
  EXPECT_EQ(monitor.wait(in_ms(5)), Status::kTimedOut);
  EXPECT_TRUE(monitor.lock.locked());
  EXPECT_EQ(monitor.condition.waiters(), 0U);
}

TEST(Condition, AnInterruptedWaiterComesBackOwningTheLock) {
  Monitor monitor;
  Group group;
  Status status = Status::kOk;
  Coroutine& waiter = group.spawn([&] {
    EXPECT_EQ(monitor.lock.acquire(Deadline::never()), Status::kOk);
    status = monitor.wait(Deadline::never());
    EXPECT_TRUE(here().current().interrupt_pending);
    EXPECT_EQ(monitor.lock.release(), Status::kOk);
  });
  yield_turns(1);
  ASSERT_TRUE(monitor.lock.try_acquire());
  here().interrupt(waiter);
  yield_turns(3);
  EXPECT_EQ(group.live(), 1);
  here().interrupt(waiter);
  EXPECT_EQ(monitor.condition.notify(1), 0U);
  EXPECT_EQ(monitor.lock.release(), Status::kOk);
  group.join();
  EXPECT_EQ(status, Status::kInterrupted);
  EXPECT_FALSE(monitor.lock.locked());
}

TEST(Condition, AnInterruptPendingBeforeTheWaitStillUnlocks) {
  Monitor monitor;
  ASSERT_TRUE(monitor.lock.try_acquire());
  here().interrupt(here().current());
  EXPECT_EQ(monitor.wait(Deadline::never()), Status::kInterrupted);
  EXPECT_TRUE(monitor.lock.locked());
  EXPECT_EQ(monitor.condition.waiters(), 0U);
  Scheduler::clear_interrupt(here().current());
}

TEST(Condition, ANotificationBeatsALaterInterrupt) {
  Monitor monitor;
  Group group;
  Status status = Status::kInterrupted;
  Coroutine& waiter = group.spawn([&] {
    EXPECT_EQ(monitor.lock.acquire(Deadline::never()), Status::kOk);
    status = monitor.wait(Deadline::never());
    EXPECT_EQ(monitor.lock.release(), Status::kOk);
  });
  yield_turns(1);
  EXPECT_EQ(monitor.condition.notify(1), 1U);
  here().interrupt(waiter);
  group.join();
  EXPECT_EQ(status, Status::kOk);
}

}  // namespace
}  // namespace coev
