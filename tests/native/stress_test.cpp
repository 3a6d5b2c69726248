// Four OS threads, many coroutines each, at the same objects with random
// deadlines and interrupts. Runs COEV_STRESS_SECONDS in all (default 1).
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/event.h"
#include "core/lock.h"
#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::kSecond;

constexpr int kThreads = 4;
constexpr int kScenarios = 6;

Deadline end_of_scenario() {
  const char* seconds = std::getenv("COEV_STRESS_SECONDS");
  const double all = seconds != nullptr ? std::atof(seconds) : 1.0;
  return Deadline::after(static_cast<std::int64_t>(all * kSecond / kScenarios));
}

// One OS thread of a scenario: its coroutines, and one that interrupts them.
class Crew {
 public:
  explicit Crew(unsigned seed, Deadline end) : random_(seed), end_(end) {}

  [[nodiscard]] bool over() const { return end_.passed(); }
  unsigned random(unsigned below) { return static_cast<unsigned>(random_()) % below; }

  // Mostly short, at times none and at times over already.
  Deadline deadline() {
    switch (random(4)) {
      case 0:
        return Deadline::never();
      case 1:
        return testing::passed();
      default:
        return Deadline::after(static_cast<std::int64_t>(random(300'000)));
    }
  }
  void pause() {
    static_cast<void>(random(8) == 0 ? here().sleep_until(Deadline::after(random(200'000)))
                                     : here().yield());
    Scheduler::clear_interrupt(here().current());
  }

  void add(std::function<void()> body) { group_.spawn(std::move(body)); }
  // May be interrupted at any time until it ends.
  void add_victim(std::function<void()> body) {
    group_.spawn([this, body = std::move(body)] {
      Coroutine* self = &here().current();
      victims_.push_back(self);
      body();
      victims_.erase(std::find(victims_.begin(), victims_.end(), self));
      Scheduler::clear_interrupt(*self);
    });
  }
  void run() {
    group_.spawn([this] {
      while (group_.live() > 1) {
        if (!victims_.empty()) here().interrupt(*victims_[random(unsigned(victims_.size()))]);
        static_cast<void>(here().sleep_until(Deadline::after(random(300'000))));
      }
    });
    group_.join();
  }

 private:
  std::mt19937 random_;
  Deadline end_;
  std::vector<Coroutine*> victims_;
  Group group_;
};

// Runs `member(crew, thread)` on every thread; a thread stays until all are
// done, for the others may still post to it.
template <typename Member>
void run_scenario(Member member) {
  const Deadline end = end_of_scenario();
  std::atomic<int> working{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      {
        Crew crew(static_cast<unsigned>(t) + 1, end);
        member(crew, t);
        crew.run();
      }
      --working;
      while (working.load() > 0) static_cast<void>(testing::sleep_ms(1));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void check(bool held, const char* what) {
  if (!held) {
    ADD_FAILURE() << what;
    std::abort();  // what follows would only hide it
  }
}

TEST(Stress, LocksExcludeAndLoseNoWakeUp) {
  struct Guarded {
    Lock lock;
    int inside = 0;  // plain: a race shows under TSan
    std::uint64_t entered = 0;
  };
  std::array<Guarded, 3> shared;
  std::atomic<std::uint64_t> entered{0};
  run_scenario([&](Crew& crew, int) {
    const auto use = [&](bool patient) {
      while (!crew.over()) {
        Guarded& guarded = shared[crew.random(3)];
        const Status status = guarded.lock.acquire(patient ? Deadline::never() : crew.deadline());
        Scheduler::clear_interrupt(here().current());
        if (status == Status::kOk) {
          check(guarded.inside++ == 0, "two hold one lock");
          ++guarded.entered;
          ++entered;
          if (crew.random(3) == 0) crew.pause();
          --guarded.inside;
          check(guarded.lock.release() == Status::kOk, "a held lock is not held");
        }
        if (crew.random(4) == 0) crew.pause();
      }
    };
    for (int i = 0; i < 12; ++i) crew.add_victim([&, use] { use(false); });
    for (int i = 0; i < 4; ++i) crew.add([&, use] { use(true); });
  });
  std::uint64_t sum = 0;
  for (Guarded& guarded : shared) {
    EXPECT_FALSE(guarded.lock.locked());
    sum += guarded.entered;
  }
  EXPECT_EQ(sum, entered.load());
  EXPECT_GT(sum, 0U);
}

TEST(Stress, RecursiveLocksExcludeAndKeepTheirCount) {
  struct Guarded {
    RecursiveLock lock;
    int inside = 0;
  };
  std::array<Guarded, 2> shared;
  run_scenario([&](Crew& crew, int) {
    const auto use = [&] {
      const std::uint64_t self = here().current().id;
      while (!crew.over()) {
        Guarded& guarded = shared[crew.random(2)];
        const Status status = guarded.lock.acquire(self, crew.deadline());
        Scheduler::clear_interrupt(here().current());
        if (status == Status::kOk) {
          check(guarded.inside++ == 0, "two hold one recursive lock");
          check(guarded.lock.count() == 1, "a lock came with a count of its own");
          check(guarded.lock.acquire(self, testing::passed()) == Status::kOk, "not recursive");
          if (crew.random(4) == 0) {  // as a condition does
            --guarded.inside;
            const std::uint64_t count = guarded.lock.release_all(self);
            check(count == 2, "released with another count");
            crew.pause();
            guarded.lock.acquire_all(self, count);
            check(guarded.inside++ == 0, "two hold one recursive lock");
          }
          if (crew.random(3) == 0) crew.pause();
          check(guarded.lock.release(self) == Status::kOk, "lost a recursive lock");
          --guarded.inside;
          check(guarded.lock.release(self) == Status::kOk, "lost a recursive lock");
        }
        if (crew.random(4) == 0) crew.pause();
      }
    };
    for (int i = 0; i < 10; ++i) crew.add_victim(use);
    for (int i = 0; i < 4; ++i) crew.add(use);
  });
  for (Guarded& guarded : shared) EXPECT_FALSE(guarded.lock.locked());
}

TEST(Stress, SemaphoresKeepTheirPermits) {
  constexpr int kPermits = 3;
  Semaphore semaphore(kPermits);
  std::atomic<int> inside{0};
  run_scenario([&](Crew& crew, int) {
    const auto use = [&] {
      while (!crew.over()) {
        const Status status = semaphore.acquire(crew.deadline());
        Scheduler::clear_interrupt(here().current());
        if (status == Status::kOk) {
          check(++inside <= kPermits, "more inside than permits");
          if (crew.random(2) == 0) crew.pause();
          --inside;
          semaphore.release();
        }
        if (crew.random(4) == 0) crew.pause();
      }
    };
    for (int i = 0; i < 12; ++i) crew.add_victim(use);
    for (int i = 0; i < 4; ++i) crew.add(use);
  });
  EXPECT_EQ(semaphore.permits(), kPermits);
}

TEST(Stress, ATokenPassedThroughEventsIsNeverLost) {
  constexpr int kRings = 8;
  std::array<std::array<Event, kThreads>, kRings> events;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> passes{0};
  run_scenario([&](Crew& crew, int thread) {
    for (int ring = 0; ring < kRings; ++ring) {
      const auto member = [&, ring, thread] {
        auto& mine = events[unsigned(ring)][unsigned(thread)];
        auto& next = events[unsigned(ring)][unsigned((thread + 1) % kThreads)];
        while (!stop.load()) {
          const Status status = mine.wait(ring % 2 == 0 ? Deadline::never() : crew.deadline());
          Scheduler::clear_interrupt(here().current());
          if (status != Status::kOk) continue;
          mine.clear();
          ++passes;
          if (crew.random(16) == 0) crew.pause();
          if (crew.over()) stop = true;
          next.set();
        }
        next.set();
      };
      if (ring % 2 == 0)
        crew.add(member);
      else
        crew.add_victim(member);
      if (thread == 0) events[unsigned(ring)][0].set();
    }
  });
  EXPECT_GT(passes.load(), 0U);
}

// A bounded queue of numbers, as textbooks write it.
class Channel {
 public:
  Status put(int number, Crew& crew) {
    lock_patiently();
    while (numbers_.size() >= 4) {
      const Status status = wait(room_, crew.deadline());
      if (status == Status::kInterrupted) {
        room_.notify(1);  // somebody else may be meant
        static_cast<void>(lock_.release());
        return status;
      }
    }
    numbers_.push_back(number);
    filled_.notify(1);
    static_cast<void>(lock_.release());
    return Status::kOk;
  }
  Status take(int* number) {
    lock_patiently();
    while (numbers_.empty()) static_cast<void>(wait(filled_, Deadline::never()));
    *number = numbers_.front();
    numbers_.pop_front();
    room_.notify(1);
    static_cast<void>(lock_.release());
    return Status::kOk;
  }

 private:
  void lock_patiently() {
    InterruptShield shield(here().current());
    while (lock_.acquire(Deadline::never()) != Status::kOk) shield.absorb();
  }
  Status wait(Condition& condition, Deadline deadline) {
    const Status status = condition.wait(deadline, [this] { static_cast<void>(lock_.release()); });
    lock_patiently();
    return status;
  }
  Lock lock_;
  Condition filled_;
  Condition room_;
  std::deque<int> numbers_;
};

TEST(Stress, ConditionsCarryEveryItemOnce) {
  Channel channel;
  std::atomic<int> producing{kThreads * 4};
  std::atomic<std::int64_t> put{0};
  std::atomic<std::int64_t> taken{0};
  constexpr int kLast = -1;
  run_scenario([&](Crew& crew, int) {
    for (int i = 0; i < 4; ++i) {
      crew.add_victim([&] {
        while (!crew.over()) {
          const int number = 1 + static_cast<int>(crew.random(1000));
          if (channel.put(number, crew) == Status::kOk) put += number;
          Scheduler::clear_interrupt(here().current());
          if (crew.random(8) == 0) crew.pause();
        }
        if (--producing > 0) return;
        for (int sent = 0; sent < kThreads * 4;) {
          sent += channel.put(kLast, crew) == Status::kOk;
          Scheduler::clear_interrupt(here().current());
        }
      });
      crew.add([&] {
        for (int number = 0;;) {
          check(channel.take(&number) == Status::kOk, "a take was interrupted");
          if (number == kLast) return;
          taken += number;
        }
      });
    }
  });
  EXPECT_EQ(put.load(), taken.load());
  EXPECT_GT(put.load(), 0);
}

TEST(Stress, MessagesAndPermitsArrive) {
  struct Counter : Message {
    std::atomic<std::uint64_t>* delivered = nullptr;
  };
  struct Mailbox {
    std::atomic<Coroutine*> reader{nullptr};
    std::atomic<std::uint64_t> id{0};
    std::atomic<std::uint64_t> sent{0};
  };
  std::array<Mailbox, kThreads> mailboxes;
  std::atomic<std::uint64_t> posted{0};
  std::atomic<std::uint64_t> delivered{0};
  std::atomic<int> senders{kThreads * 4};
  run_scenario([&](Crew& crew, int thread) {
    crew.add_victim([&, thread] {
      Mailbox& mine = mailboxes[unsigned(thread)];
      mine.id = here().current().id;
      mine.reader = &here().current();
      // Patient once the senders are done: a permit lost then would hang.
      for (std::uint64_t read = 0; senders.load() > 0 || read < mine.sent.load();) {
        read = mine.sent.load();
        static_cast<void>(
            here().park_for_permit(senders.load() > 0 ? crew.deadline() : testing::in_ms(1)));
        Scheduler::clear_interrupt(here().current());
      }
    });
    for (int i = 0; i < 4; ++i) {
      crew.add([&] {
        while (!crew.over()) {
          Mailbox& other = mailboxes[crew.random(kThreads)];
          Coroutine* reader = other.reader.load();
          if (reader != nullptr) {
            ++other.sent;
            Scheduler::unpark(*reader, other.id.load());
            auto* message = new Counter;
            message->delivered = &delivered;
            message->run = [](Message& m) noexcept {
              ++*static_cast<Counter&>(m).delivered;
              delete static_cast<Counter*>(&m);
            };
            ++posted;
            reader->scheduler->post(*message);
          }
          crew.pause();
        }
        if (--senders > 0) return;
        for (Mailbox& each : mailboxes) Scheduler::unpark(*each.reader.load(), each.id.load());
        while (delivered.load() < posted.load()) crew.pause();
      });
    }
  });
  EXPECT_EQ(posted.load(), delivered.load());
  EXPECT_GT(posted.load(), 0U);
}

}  // namespace
}  // namespace coev
