#include "core/scheduler.h"

#include <fenv.h>
#include <signal.h>
#include <sys/time.h>

#include <functional>
#include <set>
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

TEST(Scheduler, RunsSpawnedCoroutinesInFifoOrderInTheNextTurn) {
  std::string order;
  Group group;
  for (const char name : {'a', 'b', 'c'}) group.spawn([&order, name] { order += name; });
  EXPECT_EQ(order, "");
  EXPECT_EQ(here().ready_count(), 3U);
  yield_turns(1);
  EXPECT_EQ(order, "abc");
}

TEST(Scheduler, YieldersTakeTurns) {
  std::string order;
  Group group;
  for (const char name : {'a', 'b', 'c'}) {
    group.spawn([&order, name] {
      for (int i = 0; i < 3; ++i) {
        order += name;
        yield_turns(1);
      }
    });
  }
  group.join();
  EXPECT_EQ(order, "abcabcabc");
}

TEST(Scheduler, WhatASpawnedCoroutineSpawnsRunsOneTurnLater) {
  std::string order;
  Group group;
  group.spawn([&] {
    order += 'a';
    group.spawn([&] { order += 'c'; });
  });
  group.spawn([&] { order += 'b'; });
  group.join();
  EXPECT_EQ(order, "abc");
}

TEST(Scheduler, TheNewestNeedNotWaitForItsTurnNorItsStarterForThatOfTheOthers) {
  std::string order;
  Group group;
  group.spawn([&] { order += 'a'; });
  group.spawn([&] {
    order += 'b';
    yield_turns(1);
    order += 'd';
  });
  EXPECT_EQ(here().yield_to_newest(), Status::kOk);
  order += 'c';
  group.join();
  EXPECT_EQ(order, "bcad");
}

TEST(Scheduler, OnlyWhoWasSpawnedInThisTurnGoesFirst) {
  std::string order;
  Group group;
  group.spawn([&] {
    order += 'a';
    EXPECT_EQ(here().yield_to_newest(), Status::kOk);  // it was spawned before this turn
    order += 'd';
  });
  group.spawn([&] { order += 'b'; });
  group.spawn([&] { order += 'c'; });
  group.join();
  EXPECT_EQ(order, "abcd");
  EXPECT_EQ(here().yield_to_newest(), Status::kOk);  // nobody is there
}

TEST(Scheduler, WhoIsInterruptedDoesNotYieldToTheNewest) {
  bool ran = false;
  Group group;
  group.spawn([&] { ran = true; });
  here().interrupt(here().current());
  EXPECT_EQ(here().yield_to_newest(), Status::kInterrupted);
  EXPECT_FALSE(ran);
  Scheduler::clear_interrupt(here().current());
  group.join();
  EXPECT_TRUE(ran);
}

// How many that do `work` are started, each of them going first, until one has its turn that
// was ready before.
int started_before_the_others(const std::function<void()>& work) {
  Group group;
  bool stop = false;
  int started = 0;
  group.spawn([&] { stop = true; });
  for (; !stop && started < 100'000; ++started) {
    group.spawn(work);
    EXPECT_EQ(here().yield_to_newest(), Status::kOk);
  }
  group.join();
  return started;
}

TEST(Scheduler, ManyStartedInATurnDoNotKeepTheOthersWaiting) {
  const int started = started_before_the_others([] {});
  EXPECT_GT(started, 1);
  EXPECT_LT(started, 100);
}

TEST(Scheduler, OnesThatTakeLongDoNotKeepTheOthersWaiting) {
  const int started = started_before_the_others([] {
    const Deadline end = in_ms(2);
    while (!end.passed()) {
    }
  });
  EXPECT_LT(started, 4);
}

TEST(Scheduler, ThoseThatGoFirstDoNotKeepTheOthersWaitingForEver) {
  Group group;
  bool stop = false;
  int generations = 0;
  std::function<void()> start_the_next = [&] {
    ++generations;
    if (stop || generations > 100'000) return;
    group.spawn(start_the_next);
    EXPECT_EQ(here().yield_to_newest(), Status::kOk);
  };
  group.spawn([&] { stop = true; });
  group.spawn(start_the_next);
  EXPECT_EQ(here().yield_to_newest(), Status::kOk);
  group.join();
  EXPECT_GT(generations, 1);
  EXPECT_LT(generations, 1'000);
}

TEST(Scheduler, YieldAloneReturnsAtOnce) {
  const auto switches = here().stats().switches;
  EXPECT_EQ(here().yield(), Status::kOk);
  EXPECT_EQ(here().stats().switches, switches);
}

TEST(Scheduler, EveryCoroutineHasAnIdOfItsOwn) {
  std::set<std::uint64_t> ids{here().current().id};
  Group group;
  for (int i = 0; i < 20; ++i) {
    Coroutine& coroutine = group.spawn([] {});
    EXPECT_TRUE(ids.insert(coroutine.id).second);
    if (i % 3 == 0) group.join();
  }
}

TEST(Scheduler, AFinishedSlotRunsTheNextCoroutineCleanly) {
  Group group;
  Coroutine& first = group.spawn([] { here().current().interrupt_pending = true; });
  const std::uint64_t first_id = first.id;
  Scheduler::unpark(first, first.id);
  group.join();
  EXPECT_EQ(first.state, CoroutineState::kFinished);
  EXPECT_EQ(first.id, 0U);
  Coroutine& second = group.spawn([&first, first_id] {
    Scheduler::unpark(first, first_id);  // meant for the function before
    EXPECT_EQ(here().park_for_permit(passed()), Status::kTimedOut);
    EXPECT_EQ(here().yield(), Status::kOk);
  });
  EXPECT_EQ(&second, &first);
  group.join();
}

TEST(Scheduler, ReusesSlotsInsteadOfMakingNewOnes) {
  const int coroutines = testing::slow() ? 500 : 10'000;
  std::uint64_t created = 0;
  std::size_t stacks = 0;
  for (int round = 0; round < 3; ++round) {
    int ran = 0;
    Group group;
    for (int i = 0; i < coroutines; ++i) group.spawn([&ran] { yield_turns(1), ++ran; });
    group.join();
    EXPECT_EQ(ran, coroutines);
    if (round > 0) {
      EXPECT_EQ(here().stats().slots_created, created);
      EXPECT_EQ(here().stack_count(), stacks);
    }
    created = here().stats().slots_created;
    stacks = here().stack_count();
    EXPECT_EQ(here().pooled_count(), stacks);
  }
}

TEST(Scheduler, ReusesOnlySlotsOfTheStackSizeAskedForNow) {
  testing::on_new_thread([] {
    const std::size_t before = Scheduler::stack_bytes();
    Group group;
    const auto spawn_with = [&](std::size_t bytes) {
      Scheduler::set_stack_bytes(bytes);
      Coroutine* slot = &group.spawn([] {});
      EXPECT_GE(slot->stack.bytes, bytes);
      group.join();
      return slot;
    };
    Coroutine* small = spawn_with(256 * 1024);
    Coroutine* large = spawn_with(512 * 1024);
    EXPECT_NE(small, large);
    EXPECT_EQ(spawn_with(256 * 1024), small);
    EXPECT_EQ(spawn_with(512 * 1024), large);
    Scheduler::set_stack_bytes(before);
  });
}

TEST(Scheduler, ARefusedSlotLeavesNothingBehind) {
  testing::on_new_thread([] {
    static bool refuse = true;
    static Hooks hooks{[](Coroutine&) noexcept { return !refuse; },
                       [](Coroutine&, Coroutine&) noexcept {},
                       [](Coroutine&) noexcept {},
                       [](Scheduler&) noexcept {},
                       [](Scheduler&) noexcept {},
                       [](Scheduler&) noexcept {},
                       []() noexcept { std::_Exit(0); }};
    Scheduler::install_hooks(hooks);
    EXPECT_EQ(here().spawn([](void*) {}, nullptr, nullptr), nullptr);
    EXPECT_EQ(here().ready_count(), 0U);
    refuse = false;
    bool ran = false;
    Group group;
    group.spawn([&ran] { ran = true; });
    group.join();
    EXPECT_TRUE(ran);
    EXPECT_EQ(here().stack_count(), 1U);
  });
}

TEST(Scheduler, SwitchKeepsTheRoundingModeOfEachCoroutine) {
  Group group;
  const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
  for (const int mode : modes) {
    group.spawn([mode] {
      const int before = fegetround();
      fesetround(mode);
      for (int i = 0; i < 5; ++i) {
        yield_turns(1);
        EXPECT_EQ(fegetround(), mode);
      }
      fesetround(before);  // the slot's next function starts as this one did
    });
  }
  group.join();
  EXPECT_EQ(fegetround(), FE_TONEAREST);
}

// --- park ---------------------------------------------------------------------

TEST(Scheduler, ParkReturnsTheWakersStatus) {
  WaitQueue queue;
  Group group;
  Status seen = Status::kOk;
  Coroutine& waiter = group.spawn([&] { seen = here().park(queue, Deadline::never()); });
  yield_turns(1);
  ASSERT_EQ(queue.claim_first(), &waiter);
  Scheduler::wake(waiter, Status::kClosed);
  group.join();
  EXPECT_EQ(seen, Status::kClosed);
}

TEST(Scheduler, ParkTimesOutAndLeavesTheQueue) {
  const testing::VirtualTime on;
  WaitQueue queue;
  EXPECT_EQ(here().park(queue, in_ms(50)), Status::kTimedOut);
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_EQ(here().timers().size(), 0U);
}

TEST(Scheduler, AWakeBeatsADeadlineThatPassesLater) {
  const testing::VirtualTime on;
  WaitQueue queue;
  Group group;
  Status seen = Status::kTimedOut;
  group.spawn([&] { seen = here().park(queue, in_ms(10)); });
  yield_turns(1);
  Scheduler::wake(*queue.claim_first());
  virtual_time::advance_to(now_ns() + testing::kSecond);
  group.join();
  EXPECT_EQ(seen, Status::kOk);
  EXPECT_EQ(here().timers().size(), 0U);
}

TEST(Scheduler, InterruptBeforeParkEndsTheNextPark) {
  WaitQueue queue;
  Coroutine& self = here().current();
  here().interrupt(self);
  EXPECT_EQ(here().park(queue, Deadline::never()), Status::kInterrupted);
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_TRUE(self.interrupt_pending);
  EXPECT_EQ(here().yield(), Status::kInterrupted);
  Scheduler::clear_interrupt(self);
  EXPECT_EQ(here().park(queue, passed()), Status::kTimedOut);
}

TEST(Scheduler, InterruptDuringParkEndsIt) {
  WaitQueue queue;
  Group group;
  Status seen = Status::kOk;
  Coroutine& waiter = group.spawn([&] { seen = here().park(queue, Deadline::never()); });
  yield_turns(1);
  here().interrupt(waiter);
  EXPECT_EQ(queue.size(), 0U);
  here().interrupt(waiter);  // once more while it is ready
  group.join();
  EXPECT_EQ(seen, Status::kInterrupted);
}

TEST(Scheduler, InterruptAfterTheWakeStaysPending) {
  WaitQueue queue;
  Group group;
  Status first = Status::kInterrupted;
  Status second = Status::kOk;
  Coroutine& waiter = group.spawn([&] {
    first = here().park(queue, Deadline::never());
    second = here().park(queue, Deadline::never());
  });
  yield_turns(1);
  Scheduler::wake(*queue.claim_first());
  here().interrupt(waiter);
  group.join();
  EXPECT_EQ(first, Status::kOk);
  EXPECT_EQ(second, Status::kInterrupted);
}

TEST(Scheduler, InterruptOfAFinishedCoroutineDoesNotReachTheNextOne) {
  Group group;
  Coroutine& first = group.spawn([] {});
  group.join();
  here().interrupt(first);
  Status seen = Status::kInterrupted;
  Coroutine& second = group.spawn([&] { seen = here().yield(); });
  EXPECT_EQ(&first, &second);
  group.join();
  EXPECT_EQ(seen, Status::kOk);
}

TEST(Scheduler, InterruptOfAReadyCoroutineEndsItsYield) {
  Group group;
  Status seen = Status::kOk;
  Coroutine& yielder = group.spawn([&] { seen = here().yield(); });
  yield_turns(1);
  here().interrupt(yielder);
  group.join();
  EXPECT_EQ(seen, Status::kInterrupted);
}

TEST(InterruptShield, HoldsInterruptsBackUntilItsEnd) {
  WaitQueue queue;
  Group group;
  std::vector<Status> seen;
  Coroutine& waiter = group.spawn([&] {
    {
      InterruptShield shield(here().current());
      Status status;
      while ((status = here().park(queue, Deadline::never())) != Status::kOk) {
        seen.push_back(status);
        shield.absorb();
      }
      seen.push_back(status);
    }
    seen.push_back(here().park(queue, Deadline::never()));
  });
  yield_turns(1);
  here().interrupt(waiter);
  yield_turns(1);
  EXPECT_EQ(queue.size(), 1U);
  Scheduler::wake(*queue.claim_first());
  group.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::kInterrupted, Status::kOk, Status::kInterrupted}));
}

TEST(InterruptShield, KeepsAnInterruptThatCameBeforeIt) {
  Coroutine& self = here().current();
  here().interrupt(self);
  {
    const InterruptShield shield(self);
    EXPECT_EQ(here().yield(), Status::kOk);
  }
  EXPECT_TRUE(self.interrupt_pending);
  Scheduler::clear_interrupt(self);
}

// --- transfer -----------------------------------------------------------------

TEST(Scheduler, TransferRunsTheTargetAtOnce) {
  std::string order;
  Coroutine& self = here().current();
  Group group;
  group.spawn([&] { order += 'x'; });
  Coroutine& target = group.spawn([&] {
    order += 'a';
    EXPECT_EQ(here().transfer_to(self, Deadline::never()), Status::kOk);
    order += 'b';
  });
  ASSERT_TRUE(here().can_transfer_to(target));
  EXPECT_EQ(here().transfer_to(target, Deadline::never()), Status::kOk);
  EXPECT_EQ(order, "a");
  EXPECT_TRUE(here().awaits_transfer(target));
  group.spawn([&] { static_cast<void>(here().transfer_to(target, in_ms(1))); });
  group.join();
  EXPECT_EQ(order, "axb");
}

TEST(Scheduler, TransferTimesOutWhenNobodyComesBack) {
  const testing::VirtualTime on;
  Group group;
  Coroutine& target = group.spawn([] {});
  EXPECT_EQ(here().transfer_to(target, in_ms(5)), Status::kTimedOut);
  EXPECT_FALSE(here().awaits_transfer(here().current()));
}

TEST(Scheduler, TransferIsRefusedToParkedAndFinishedCoroutines) {
  const testing::VirtualTime on;
  Group group;
  Coroutine& sleeper = group.spawn([] { EXPECT_EQ(testing::sleep_ms(10), Status::kTimedOut); });
  yield_turns(1);
  EXPECT_FALSE(here().can_transfer_to(sleeper));
  group.join();
  EXPECT_FALSE(here().can_transfer_to(sleeper));
  EXPECT_FALSE(here().can_transfer_to(here().current()));
}

TEST(Scheduler, AnInterruptedTransferLeavesTheTargetWaiting) {
  Group group;
  bool ran = false;
  Coroutine& target = group.spawn([&] { ran = true; });
  here().interrupt(here().current());
  EXPECT_EQ(here().transfer_to(target, Deadline::never()), Status::kInterrupted);
  EXPECT_FALSE(ran);
  Scheduler::clear_interrupt(here().current());
}

TEST(Scheduler, TransfersToReadyCoroutinesDoNotStopTheTurns) {
  Group group;
  bool stop = false;
  Coroutine* partner = nullptr;
  // Each round takes a ready coroutine out of the turn and puts a new one in.
  group.spawn([&] {
    while (!stop) {
      Coroutine& self = here().current();
      partner = &group.spawn([&self] { here().interrupt(self); });
      static_cast<void>(here().transfer_to(*partner, Deadline::never()));
      Scheduler::clear_interrupt(self);
    }
  });
  EXPECT_EQ(testing::sleep_ms(5), Status::kTimedOut);
  stop = true;
}

TEST(Scheduler, TransfersBackAndForthGiveOthersAndTimersTheirTurn) {
  Group group;
  Coroutine& self = here().current();
  bool stop = false;
  Coroutine& partner = group.spawn([&] {
    while (!stop) static_cast<void>(here().transfer_to(self, Deadline::never()));
  });
  group.spawn([&] {
    EXPECT_EQ(testing::sleep_ms(2), Status::kTimedOut);
    stop = true;
  });
  for (;;) {
    EXPECT_EQ(here().spend_transfer(), Status::kOk);
    if (stop) break;
    EXPECT_EQ(here().transfer_to(partner, Deadline::never()), Status::kOk);
  }
  here().interrupt(partner);
  group.join();
}

// --- permits ------------------------------------------------------------------

TEST(Scheduler, AnUnparkBeforeTheParkIsNotLost) {
  Coroutine& self = here().current();
  Scheduler::unpark(self, self.id);
  Scheduler::unpark(self, self.id);  // permits do not add up
  EXPECT_EQ(here().park_for_permit(Deadline::never()), Status::kOk);
  EXPECT_EQ(here().park_for_permit(passed()), Status::kTimedOut);
}

TEST(Scheduler, UnparkWakesAParkedCoroutine) {
  Group group;
  int wakes = 0;
  Coroutine& waiter = group.spawn([&] {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(here().park_for_permit(Deadline::never()), Status::kOk);
      ++wakes;
    }
  });
  yield_turns(1);
  Scheduler::unpark(waiter, waiter.id);
  yield_turns(2);
  EXPECT_EQ(wakes, 1);
  Scheduler::unpark(waiter, waiter.id);
  group.join();
  EXPECT_EQ(wakes, 2);
}

TEST(Scheduler, UnparkDoesNotEndAnotherKindOfWait) {
  WaitQueue queue;
  Group group;
  std::vector<Status> seen;
  Coroutine& waiter = group.spawn([&] {
    seen.push_back(here().park(queue, Deadline::never()));
    seen.push_back(here().park_for_permit(Deadline::never()));
  });
  yield_turns(1);
  Scheduler::unpark(waiter, waiter.id);
  yield_turns(2);
  EXPECT_TRUE(seen.empty());
  Scheduler::wake(*queue.claim_first());
  group.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::kOk, Status::kOk}));
}

TEST(Scheduler, AnInterruptedParkForPermitLeavesThePermit) {
  Group group;
  std::vector<Status> seen;
  Coroutine& waiter = group.spawn([&] {
    seen.push_back(here().park_for_permit(Deadline::never()));
    Scheduler::clear_interrupt(here().current());
    seen.push_back(here().park_for_permit(Deadline::never()));
  });
  yield_turns(1);
  here().interrupt(waiter);
  Scheduler::unpark(waiter, waiter.id);
  group.join();
  EXPECT_EQ(seen, (std::vector<Status>{Status::kInterrupted, Status::kOk}));
}

// --- fairness -----------------------------------------------------------------

TEST(Scheduler, ABusyRunQueueStarvesNeitherIoNorTimers) {
  const testing::SocketPair pair;
  bool stop = false;
  bool readable = false;
  Group group;
  for (int i = 0; i < 10; ++i) {
    group.spawn([&] {
      while (!stop) yield_turns(1);
    });
  }
  group.spawn([&] {
    readable = here().readiness().wait(pair.near(), kReadable, in_ms(5000), nullptr, nullptr) ==
               Status::kOk;
  });
  EXPECT_EQ(testing::sleep_ms(2), Status::kTimedOut);
  pair.write_far('x');
  const Deadline enough = in_ms(5000);
  while (!readable && !enough.passed()) EXPECT_EQ(testing::sleep_ms(1), Status::kTimedOut);
  EXPECT_TRUE(readable);
  stop = true;
}

TEST(Scheduler, SleepsThatEndAtOnceDoNotStarveIo) {
  const testing::SocketPair pair;
  pair.write_far('x');
  bool readable = false;
  Group group;
  group.spawn([&] {
    readable = here().readiness().wait(pair.near(), kReadable, Deadline::never(), nullptr,
                                       nullptr) == Status::kOk;
  });
  const Deadline enough = in_ms(5000);
  while (!readable && !enough.passed()) {
    EXPECT_EQ(here().sleep_until(passed()), Status::kTimedOut);
  }
  EXPECT_TRUE(readable);
}

TEST(Scheduler, IoThatIsReadyAtTheDeadlineIsInTime) {
  const testing::SocketPair pair;
  pair.write_far('x');
  unsigned ready = 0;
  EXPECT_EQ(here().readiness().wait(pair.near(), kReadable, passed(), nullptr, &ready),
            Status::kOk);
  EXPECT_EQ(ready, kReadable);
}

TEST(Scheduler, QuotaMakesABusyCoroutineGiveWay) {
  bool other_ran = false;
  int operations = 0;
  Group group;
  group.spawn([&] {
    while (!other_ran && operations < 100'000) {
      ++operations;
      EXPECT_EQ(here().spend_quota(), Status::kOk);
    }
  });
  group.spawn([&] { other_ran = true; });
  group.join();
  EXPECT_TRUE(other_ran);
  EXPECT_LT(operations, 1000);
}

TEST(Scheduler, QuotaReportsAPendingInterrupt) {
  here().interrupt(here().current());
  Status status = Status::kOk;
  for (int i = 0; i < 1000 && status == Status::kOk; ++i) status = here().spend_quota();
  EXPECT_EQ(status, Status::kInterrupted);
  Scheduler::clear_interrupt(here().current());
}

// --- messages and signals -----------------------------------------------------

TEST(Scheduler, RunsMessagesInTheOrderTheyWerePosted) {
  struct Letter : Message {
    std::vector<int>* seen;
    int number;
  };
  std::vector<int> seen;
  Letter letters[5];
  for (int i = 0; i < 5; ++i) {
    letters[i].seen = &seen;
    letters[i].number = i;
    letters[i].run = [](Message& m) noexcept {
      static_cast<Letter&>(m).seen->push_back(static_cast<Letter&>(m).number);
    };
    here().post(letters[i]);
  }
  EXPECT_TRUE(seen.empty());
  yield_turns(1);
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(Scheduler, AMessageMaySpawnIntoTheSlotThatIsJustFinishing) {
  struct Spawner : Message {
    Group* group;
    int* ran;
  };
  testing::on_new_thread([] {
    Group group;
    int ran = 0;
    Spawner spawner;
    spawner.group = &group;
    spawner.ran = &ran;
    spawner.run = [](Message& m) noexcept {
      auto& self = static_cast<Spawner&>(m);
      self.group->spawn([ran = self.ran] { ++*ran; });
    };
    group.spawn([&] { here().post(spawner); });
    EXPECT_EQ(testing::sleep_ms(1), Status::kTimedOut);
    group.join();
    EXPECT_EQ(ran, 1);
    EXPECT_EQ(here().stack_count(), 1U);
  });
}

Scheduler* g_signalled_scheduler = nullptr;
volatile sig_atomic_t g_alarms = 0;

TEST(Scheduler, ASignalHandlerEndsTheSleep) {
  const int status = testing::status_of_child([] {
    static int handled = 0;
    static WaitQueue queue;
    static Hooks hooks{[](Coroutine&) noexcept { return true; },
                       [](Coroutine&, Coroutine&) noexcept {},
                       [](Coroutine&) noexcept {},
                       [](Scheduler&) noexcept {},
                       [](Scheduler&) noexcept {},
                       [](Scheduler&) noexcept {
                         ++handled;
                         if (Coroutine* waiter = queue.claim_first()) Scheduler::wake(*waiter);
                       },
                       []() noexcept { std::_Exit(0); }};
    Scheduler::install_hooks(hooks);
    g_signalled_scheduler = &here();
    struct sigaction action {};
    action.sa_handler = [](int) {
      g_alarms = g_alarms + 1;
      g_signalled_scheduler->wake_from_signal();
    };
    sigaction(SIGALRM, &action, nullptr);
    itimerval timer{{0, 2000}, {0, 2000}};
    setitimer(ITIMER_REAL, &timer, nullptr);
    for (int i = 0; i < 20; ++i) {
      if (here().park(queue, Deadline::never()) != Status::kOk) return 1;
    }
    return handled >= 20 && g_alarms >= 20 ? 0 : 2;
  });
  EXPECT_TRUE(testing::exited_with(status, 0)) << status;
}

}  // namespace
}  // namespace coev
