// One scheduler an OS thread: how they wake each other, and how they end.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/event.h"
#include "core/lock.h"
#include "core/registry.h"
#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::on_new_thread;
using testing::yield_turns;

TEST(Thread, HasASchedulerOfItsOwnThatEndsWithIt) {
  Scheduler* mine = &here();
  const std::size_t before = Scheduler::count();
  on_new_thread([&] {
    EXPECT_EQ(Scheduler::find(), nullptr);
    EXPECT_NE(&here(), mine);
    EXPECT_EQ(Scheduler::count(), before + 1);
    Group group;
    for (int i = 0; i < 10; ++i) group.spawn([] { yield_turns(2); });
  });
  EXPECT_EQ(Scheduler::count(), before);
}

TEST(Thread, MayEndWhileCoroutinesAreSuspended) {
  static auto& left = *new std::vector<Scheduler*>;  // reachable for leak checkers
  static WaitQueue queue;
  on_new_thread([] {
    left.push_back(&here());
    ASSERT_NE(here().spawn([](void*) { static_cast<void>(here().park(queue, Deadline::never())); },
                           nullptr, nullptr),
              nullptr);
    yield_turns(1);
  });
  EXPECT_EQ(queue.size(), 1U);  // its stack is still there
}

TEST(Thread, AWakeReachesAWaiterOfAnotherThread) {
  Event there_waits;
  Event event;
  std::thread other([&] {
    Group group;
    for (int i = 0; i < 5; ++i) {
      group.spawn([&] { EXPECT_EQ(event.wait(Deadline::never()), Status::kOk); });
    }
    group.spawn([&] { there_waits.set(); });
  });
  EXPECT_EQ(there_waits.wait(Deadline::never()), Status::kOk);
  event.set();
  other.join();
}

TEST(Thread, ALockIsHandedToAWaiterOfAnotherThread) {
  Lock lock;
  Event queued;
  ASSERT_TRUE(lock.try_acquire());
  std::thread other([&] {
    Group group;
    group.spawn([&] {
      EXPECT_EQ(lock.acquire(Deadline::never()), Status::kOk);
      EXPECT_EQ(lock.release(), Status::kOk);
    });
    group.spawn([&] { queued.set(); });
  });
  EXPECT_EQ(queued.wait(Deadline::never()), Status::kOk);
  EXPECT_EQ(lock.release(), Status::kOk);
  EXPECT_TRUE(lock.acquire(in_ms(10'000)) == Status::kOk);
  other.join();
}

TEST(Thread, AnUnparkFromAnotherThreadGivesOnePermit) {
  Coroutine& self = here().current();
  const std::uint64_t id = self.id;
  for (int i = 0; i < 100; ++i) {
    std::thread other([&] { Scheduler::unpark(self, id); });
    EXPECT_EQ(here().park_for_permit(in_ms(10'000)), Status::kOk);
    other.join();
    EXPECT_EQ(here().park_for_permit(testing::passed()), Status::kTimedOut);
  }
}

TEST(Thread, AnUnparkThatArrivesAfterItsCoroutineEndedIsDropped) {
  Group group;
  Coroutine& first = group.spawn([] {});
  const std::uint64_t id = first.id;
  std::thread([&] { Scheduler::unpark(first, id); }).join();
  group.join();
  Coroutine& second =
      group.spawn([] { EXPECT_EQ(here().park_for_permit(in_ms(2)), Status::kTimedOut); });
  EXPECT_EQ(&first, &second);
}

TEST(Thread, AnUnparkThatArrivesAfterItsOsThreadEndedIsDropped) {
  std::uint64_t home = 0;
  Coroutine* coroutine = nullptr;
  std::uint64_t id = 0;
  std::thread([&] {
    Group group;
    home = here().serial();
    coroutine = &group.spawn([] {});
    id = coroutine->id;
    group.join();
  }).join();
  EXPECT_NE(home, here().serial());
  Scheduler::unpark(home, *coroutine, id);
}

TEST(Thread, AnUnparkFindsItsCoroutineByTheSerialOfItsScheduler) {
  Scheduler& self = here();
  const std::uint64_t id = self.current().id;
  Scheduler::unpark(self.serial(), self.current(), id);
  EXPECT_EQ(self.park_for_permit(testing::passed()), Status::kOk);
  std::thread other([&] { Scheduler::unpark(self.serial(), self.current(), id); });
  EXPECT_EQ(self.park_for_permit(in_ms(10'000)), Status::kOk);
  other.join();
}

// The thread woken by the last message ends while its waker is still in post().
TEST(Thread, MayEndAsSoonAsItIsWoken) {
  for (int i = 0; i < (testing::under_valgrind() ? 20 : 500); ++i) {
    auto event = std::make_unique<Event>();
    auto reached = std::make_unique<Event>();
    std::thread other([&] {
      Group group;
      group.spawn([&] {
        reached->set();
        EXPECT_EQ(event->wait(Deadline::never()), Status::kOk);
      });
    });
    EXPECT_EQ(reached->wait(Deadline::never()), Status::kOk);
    event->set();
    other.join();
  }
}

TEST(Thread, ForgetReachesTheWaitersOfEveryThread) {
  const testing::SocketPair pair;
  std::atomic<int> waiting{0};
  std::atomic<int> closed{0};
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&] {
      Group group;
      for (int j = 0; j < 2; ++j) {
        group.spawn([&] {
          closed += here().readiness().wait(pair.near(), kReadable, in_ms(20'000), nullptr,
                                            nullptr) == Status::kClosed;
        });
      }
      group.spawn([&] { ++waiting; });
    });
  }
  while (waiting.load() < 3) std::this_thread::yield();
  Readiness::forget(pair.near());
  for (std::thread& other : others) other.join();
  EXPECT_EQ(closed.load(), 6);
}

TEST(Thread, ASetWakesOnlyThoseWhoWaitedBeforeIt) {
  Event event;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  // Each waiter clears the event and waits again: only another set() may wake it.
  std::atomic<std::uint64_t> sets{0};
  std::thread other([&] {
    std::uint64_t woken = 0;
    while (!stop.load()) {
      if (event.wait(in_ms(20'000)) == Status::kOk) ++woken;
      event.clear();
      if (woken > sets.load()) ++wrong;
    }
  });
  for (int i = 0; i < (testing::slow() ? 200 : 20'000); ++i) {
    ++sets;
    event.set();
    if (i % 8 == 0) yield_turns(1);
  }
  stop = true;
  event.set();
  other.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(Registry, VisitsEverySchedulerOfTheProcess) {
  std::atomic<int> ready{0};
  Event leave;
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&] {
      static_cast<void>(here());
      ++ready;
      EXPECT_EQ(leave.wait(Deadline::never()), Status::kOk);
    });
  }
  while (ready.load() < 3) std::this_thread::yield();
  std::size_t visited = 0;
  static_cast<void>(here());
  for_each_scheduler([&](Scheduler&) { ++visited; });
  EXPECT_EQ(visited, Scheduler::count());
  EXPECT_GE(visited, 4U);
  leave.set();
  for (std::thread& other : others) other.join();
}

}  // namespace
}  // namespace coev
