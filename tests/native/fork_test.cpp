// In the child of a fork only the forking coroutine lives on, as with threads.
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "core/event.h"
#include "core/lock.h"
#include "harness.h"

#ifdef COEV_TSAN
// The children start threads, of which TSan only warns.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif

namespace coev {
namespace {

using testing::exited_with;
using testing::Group;
using testing::here;
using testing::in_ms;
using testing::SocketPair;
using testing::status_of_child;
using testing::yield_turns;

// Everything a coroutine may do, in the child.
int use_everything() {
  if (here().sleep_until(in_ms(1)) != Status::kTimedOut) return 10;
  Lock lock;
  int counter = 0;
  {
    Group group;
    for (int i = 0; i < 10; ++i) {
      group.spawn([&] {
        if (lock.acquire(Deadline::never()) != Status::kOk) return;
        const int before = counter;
        yield_turns(1);
        counter = before + 1;
        static_cast<void>(lock.release());
      });
    }
  }
  if (counter != 10 || lock.locked()) return 11;
  const SocketPair pair;
  {
    Group group;
    group.spawn([&] { pair.write_far('x'); });
    if (here().readiness().wait(pair.near(), kReadable, in_ms(5000), nullptr, nullptr) !=
        Status::kOk) {
      return 12;
    }
  }
  int from_thread = 0;
  testing::on_new_thread([&] {
    Group group;
    group.spawn([&] { from_thread = here().sleep_until(in_ms(1)) == Status::kTimedOut; });
  });
  return from_thread == 1 ? 0 : 13;
}

TEST(Fork, AChildOfMainCanDoEverything) {
  const int status = status_of_child(use_everything);
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

TEST(Fork, AChildOfACoroutineCanDoEverything) {
  Group group;
  group.spawn([] {
    const int status = status_of_child(use_everything);
    EXPECT_TRUE(exited_with(status, 0)) << status;
  });
}

TEST(Fork, AChildOfAnOsThreadCanDoEverything) {
  testing::on_new_thread([] {
    yield_turns(1);
    const int status = status_of_child(use_everything);
    EXPECT_TRUE(exited_with(status, 0)) << status;
  });
}

TEST(Fork, AChildOfAThreadWithoutASchedulerCanDoEverything) {
  testing::on_new_thread([] {
    const int status = status_of_child(use_everything);
    EXPECT_TRUE(exited_with(status, 0)) << status;
  });
}

TEST(Fork, OtherCoroutinesDoNotRunInTheChild) {
  const pid_t parent = getpid();
  bool stop = false;
  WaitQueue queue;
  Group group;
  const auto only_in_the_parent = [&] {
    if (getpid() != parent) _exit(50);
  };
  group.spawn([&] {  // ready at the fork
    while (!stop) yield_turns(1), only_in_the_parent();
  });
  group.spawn([&] {  // sleeping
    while (!stop) static_cast<void>(testing::sleep_ms(1)), only_in_the_parent();
  });
  group.spawn([&] {  // parked
    static_cast<void>(here().park(queue, Deadline::never()));
    only_in_the_parent();
  });
  yield_turns(2);
  const int status = status_of_child(use_everything);
  EXPECT_TRUE(exited_with(status, 0)) << status;
  stop = true;
  Scheduler::wake(*queue.claim_first());
}

TEST(Fork, TheCoroutineThatForkedIsMainInTheChildAndItsEndEndsTheProcess) {
  Group group;
  group.spawn([] {
    const pid_t child = fork();
    if (child == 0) {
      if (&here().main() != &here().current()) _exit(20);
      Group own;
      own.spawn([] { yield_turns(2); });
      own.join();
      return;  // the default hook ends the process
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(exited_with(status, 0)) << status;
  });
}

TEST(Fork, WaitersOfTheParentAreNotWokenInTheChild) {
  const pid_t parent = getpid();
  Event event;
  Semaphore semaphore(0);
  Condition condition;
  Lock lock;
  RecursiveLock recursive;
  ASSERT_TRUE(lock.try_acquire());
  ASSERT_TRUE(recursive.try_acquire(1));
  Group group;
  const auto waits = [&](auto wait) {
    group.spawn([wait, parent] {
      EXPECT_EQ(wait(), Status::kOk);
      if (getpid() != parent) _exit(50);
    });
  };
  waits([&] { return event.wait(Deadline::never()); });
  waits([&] { return semaphore.acquire(Deadline::never()); });
  waits([&] { return condition.wait(Deadline::never(), [] {}); });
  waits([&] { return lock.acquire(Deadline::never()); });
  waits([&] { return recursive.acquire(2, Deadline::never()); });
  yield_turns(1);
  const int status = status_of_child([&] {
    event.set();
    semaphore.release();
    if (semaphore.permits() != 1) return 1;
    if (condition.waiters() != 0 || condition.notify(1) != 0) return 2;
    if (lock.release() != Status::kOk || lock.locked()) return 3;
    if (recursive.release(1) != Status::kOk || recursive.locked()) return 4;
    yield_turns(3);
    if (semaphore.acquire(testing::passed()) != Status::kOk) return 5;
    return use_everything();
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
  event.set();
  semaphore.release();
  EXPECT_EQ(condition.notify(1), 1U);
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_EQ(recursive.release(1), Status::kOk);
}

TEST(Fork, ALockPromisedToAWaiterOfTheParentIsFreeInTheChild) {
  Lock lock;
  RecursiveLock recursive;
  ASSERT_TRUE(lock.try_acquire());
  ASSERT_TRUE(recursive.try_acquire(1));
  Group group;
  group.spawn([&] { EXPECT_EQ(lock.acquire(Deadline::never()), Status::kOk); });
  group.spawn([&] { EXPECT_EQ(recursive.acquire(2, Deadline::never()), Status::kOk); });
  yield_turns(1);
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_EQ(recursive.release(1), Status::kOk);
  const int status = status_of_child([&] {
    if (lock.locked() || recursive.locked()) return 1;
    if (lock.acquire(Deadline::never()) != Status::kOk) return 2;
    if (recursive.acquire(3, Deadline::never()) != Status::kOk) return 3;
    if (!lock.locked() || !recursive.owned_by(3)) return 4;
    return use_everything();
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
  group.join();
  EXPECT_TRUE(lock.locked());
  EXPECT_TRUE(recursive.owned_by(2));
}

TEST(Fork, InterruptingACoroutineOfTheParentDoesNothingInTheChild) {
  Group group;
  Coroutine& sleeper = group.spawn([] { EXPECT_EQ(testing::sleep_ms(50), Status::kTimedOut); });
  yield_turns(1);
  const int status = status_of_child([&] {
    Group own;
    own.spawn([] { static_cast<void>(testing::sleep_ms(1)); });
    yield_turns(1);
    here().interrupt(sleeper);
    Scheduler::unpark(sleeper, sleeper.id);
    own.join();
    return use_everything();
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

TEST(Fork, AGuardHeldByAnotherThreadIsFreeInTheChild) {
  Event event;
  Lock lock;
  std::atomic<bool> stop{false};
  std::thread hammer([&] {
    while (!stop.load()) {
      event.set();
      if (lock.acquire(Deadline::never()) == Status::kOk) static_cast<void>(lock.release());
      static_cast<void>(event.wait(testing::passed()));
      event.clear();
      static_cast<void>(event.wait(Deadline::after(1000)));
    }
  });
  for (int i = 0; i < (testing::slow() ? 5 : 50); ++i) {
    const int status = status_of_child([&] {
      event.clear();
      if (event.wait(in_ms(1)) != Status::kTimedOut) return 1;
      event.set();
      return event.wait(Deadline::never()) == Status::kOk ? 0 : 2;
    });
    EXPECT_TRUE(exited_with(status, 0)) << status;
  }
  stop = true;
  hammer.join();
}

TEST(Fork, AGrandchildWorksToo) {
  const int status = status_of_child([] {
    int inner = -1;
    {
      Group group;
      group.spawn([&] { inner = status_of_child(use_everything); });
    }
    return exited_with(inner, 0) ? use_everything() : 30;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

}  // namespace
}  // namespace coev
