#include "core/offload.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "core/event.h"
#include "harness.h"

namespace coev {
namespace {

using testing::Group;
using testing::here;
using testing::in_ms;
using testing::yield_turns;

std::atomic<int> g_jobs_alive{0};

class Call final : public offload::Job {
 public:
  explicit Call(std::function<void()> body) : body_(std::move(body)) { ++g_jobs_alive; }
  ~Call() override { --g_jobs_alive; }
  void run() noexcept override { body_(); }
  void discard() noexcept override { delete this; }

 private:
  std::function<void()> body_;
};

Status run(std::function<void()> body, Deadline deadline) {
  auto* job = new Call(std::move(body));
  Status status = offload::submit(*job);
  if (status != Status::kOk) return status;
  status = offload::wait(*job, deadline);
  if (status == Status::kOk) {
    job->discard();
  } else {
    offload::abandon(*job);
  }
  return status;
}

void sleep_real_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// What a job waits for, and the test opens.
struct Gate {
  void pass() const {
    while (!open.load()) sleep_real_ms(1);
  }
  std::atomic<bool> open{false};
};

void wait_until_no_job_is_alive() {
  const Deadline enough = in_ms(20'000);
  while (g_jobs_alive.load() != 0 && !enough.passed()) {
    EXPECT_EQ(testing::sleep_ms(1), Status::kTimedOut);
  }
  EXPECT_EQ(g_jobs_alive.load(), 0);
}

class Offload : public ::testing::Test {
 protected:
  void TearDown() override {
    wait_until_no_job_is_alive();
    offload::set_thread_limit(8);
  }
};

TEST_F(Offload, RunsOnAnotherThreadWhileOthersRunHere) {
  const std::thread::id self = std::this_thread::get_id();
  std::thread::id where = self;
  Gate gate;
  Group group;
  group.spawn([&] {
    EXPECT_EQ(run([&] { gate.pass(), where = std::this_thread::get_id(); }, Deadline::never()),
              Status::kOk);
  });
  yield_turns(5);
  EXPECT_EQ(group.live(), 1);
  gate.open = true;
  group.join();
  EXPECT_NE(where, self);
}

TEST_F(Offload, BlocksSignalsOnItsThreads) {
  bool blocked = false;
  EXPECT_EQ(run(
                [&] {
                  sigset_t set;
                  pthread_sigmask(SIG_BLOCK, nullptr, &set);
                  blocked = sigismember(&set, SIGINT) == 1 && sigismember(&set, SIGALRM) == 1;
                },
                Deadline::never()),
            Status::kOk);
  EXPECT_TRUE(blocked);
}

TEST_F(Offload, ATimeoutLeavesARunningJobToItself) {
  Gate gate;
  auto ended = std::make_shared<std::atomic<bool>>(false);
  auto begun = std::make_shared<std::atomic<bool>>(false);
  auto* job = new Call([&gate, begun, ended] { *begun = true, gate.pass(), *ended = true; });
  ASSERT_EQ(offload::submit(*job), Status::kOk);
  while (!begun->load()) ASSERT_EQ(testing::sleep_ms(1), Status::kTimedOut);
  EXPECT_EQ(offload::wait(*job, in_ms(5)), Status::kTimedOut);
  offload::abandon(*job);
  EXPECT_EQ(g_jobs_alive.load(), 1);
  gate.open = true;
  wait_until_no_job_is_alive();
  EXPECT_TRUE(ended->load());
}

TEST_F(Offload, AnInterruptEndsTheWait) {
  Gate gate;
  Status status = Status::kOk;
  Group group;
  Coroutine& waiter =
      group.spawn([&] { status = run([&gate] { gate.pass(); }, Deadline::never()); });
  yield_turns(3);
  here().interrupt(waiter);
  group.join();
  EXPECT_EQ(status, Status::kInterrupted);
  gate.open = true;
  wait_until_no_job_is_alive();
}

TEST_F(Offload, AWaitMayBeRepeatedAfterATimeout) {
  Gate gate;
  auto* job = new Call([&gate] { gate.pass(); });
  ASSERT_EQ(offload::submit(*job), Status::kOk);
  EXPECT_EQ(offload::wait(*job, in_ms(2)), Status::kTimedOut);
  EXPECT_EQ(offload::wait(*job, in_ms(2)), Status::kTimedOut);
  gate.open = true;
  EXPECT_EQ(offload::wait(*job, Deadline::never()), Status::kOk);
  EXPECT_EQ(offload::wait(*job, Deadline::never()), Status::kOk);
  job->discard();
}

TEST_F(Offload, AJobAbandonedAfterItRanIsDiscarded) {
  auto* job = new Call([] {});
  ASSERT_EQ(offload::submit(*job), Status::kOk);
  EXPECT_EQ(offload::wait(*job, Deadline::never()), Status::kOk);
  offload::abandon(*job);
  EXPECT_EQ(g_jobs_alive.load(), 0);
}

TEST_F(Offload, AQueuedJobThatIsAbandonedNeverRuns) {
  offload::set_thread_limit(1);
  testing::on_new_thread([] {});  // threads of earlier tests are idle, not gone
  Gate gate;
  std::atomic<int> ran{0};
  Group group;
  const std::size_t blockers = offload::thread_count() + 1;
  for (std::size_t i = 0; i < blockers; ++i) {
    group.spawn([&] { EXPECT_EQ(run([&] { gate.pass(); }, Deadline::never()), Status::kOk); });
  }
  yield_turns(3);
  EXPECT_EQ(run([&] { ++ran; }, in_ms(5)), Status::kTimedOut);
  gate.open = true;
  group.join();
  wait_until_no_job_is_alive();
  EXPECT_EQ(ran.load(), 0);
}

TEST_F(Offload, AJobThatTheLimitIsNotForRunsAtOnceAndItsThreadEndsWithIt) {
  const int status = testing::status_of_child([] {
    offload::set_thread_limit(1);
    Gate gate;
    bool queued_job_ran = false;
    {
      Group group;
      group.spawn([&] { (void)run([&] { gate.pass(); }, Deadline::never()); });
      group.spawn([&] { (void)run([&] { queued_job_ran = true; }, Deadline::never()); });
      group.spawn([&] {
        auto* job = new Call([&] { gate.open = !queued_job_ran; });
        (void)offload::submit(*job, offload::Limit::kIgnored);
        (void)offload::wait(*job, Deadline::never());
        job->discard();
      });
    }
    if (!gate.open || !queued_job_ran) return 1;
    const Deadline enough = in_ms(5'000);
    while (offload::thread_count() > 1 && !enough.passed()) (void)testing::sleep_ms(1);
    return offload::thread_count() == 1 ? 0 : 2;
  });
  EXPECT_TRUE(testing::exited_with(status, 0)) << status;
}

TEST_F(Offload, NeverUsesMoreThreadsThanItsLimit) {
  const int status = testing::status_of_child([] {  // a child starts with an empty pool
    offload::set_thread_limit(3);
    std::atomic<int> now{0};
    std::atomic<int> most{0};
    {
      Group group;
      for (int i = 0; i < 30; ++i) {
        group.spawn([&] {
          EXPECT_EQ(run(
                        [&] {
                          const int count = ++now;
                          int seen = most.load();
                          while (count > seen && !most.compare_exchange_weak(seen, count)) {
                          }
                          sleep_real_ms(2);
                          --now;
                        },
                        Deadline::never()),
                    Status::kOk);
        });
      }
    }
    if (most.load() != 3 || offload::thread_count() != 3) return 1;
    offload::shut_down();
    return offload::thread_count() == 0 ? 0 : 2;
  });
  EXPECT_TRUE(testing::exited_with(status, 0)) << status;
}

TEST_F(Offload, ReusesAnIdleThread) {
  const int status = testing::status_of_child([] {
    for (int i = 0; i < 20; ++i) {
      if (run([] {}, Deadline::never()) != Status::kOk) return 1;
      sleep_real_ms(2);  // it goes idle
    }
    return offload::thread_count() == 1 ? 0 : 2;
  });
  EXPECT_TRUE(testing::exited_with(status, 0)) << status;
}

TEST_F(Offload, ReportsThatNoThreadCanBeStarted) {
  if (testing::slow() || geteuid() != 0) GTEST_SKIP() << "needs a user limit on threads";
  const int status = testing::status_of_child([] {
    const rlimit none{1, 1};
    if (setgid(65534) != 0 || setuid(65534) != 0) return 3;
    if (setrlimit(RLIMIT_NPROC, &none) != 0) return 4;
    if (run([] {}, Deadline::never()) != Status::kNoMemory) return 1;
    return g_jobs_alive.load() == 0 ? 0 : 2;
  });
  EXPECT_TRUE(testing::exited_with(status, 0)) << status;
}

TEST_F(Offload, AnswersEveryOneOfManyCallers) {
  Group group;
  std::atomic<int> ran{0};
  int answered = 0;
  for (int i = 0; i < 300; ++i) {
    group.spawn([&, i] {
      for (int round = 0; round < 5; ++round) {
        const Status status = run([&] { ++ran; }, i % 3 == 0 ? in_ms(0) : Deadline::never());
        EXPECT_TRUE(status == Status::kOk || (i % 3 == 0 && status == Status::kTimedOut));
        answered += status == Status::kOk;
      }
    });
  }
  group.join();
  wait_until_no_job_is_alive();
  EXPECT_GE(answered, 1000);
  EXPECT_LE(answered, ran.load());
}

TEST_F(Offload, WorksAfterShutDown) {
  const int status = testing::status_of_child([] {
    if (run([] {}, Deadline::never()) != Status::kOk) return 1;
    offload::shut_down();
    if (offload::thread_count() != 0) return 2;
    return run([] {}, Deadline::never()) == Status::kOk ? 0 : 3;
  });
  EXPECT_TRUE(testing::exited_with(status, 0)) << status;
}

TEST_F(Offload, AForkedChildStartsWithItsOwnPoolAndTheSameLimit) {
  EXPECT_EQ(run([] {}, Deadline::never()), Status::kOk);
  offload::set_thread_limit(5);
  const int status = testing::status_of_child([] {
    if (offload::thread_count() != 0 || offload::thread_limit() != 5) return 1;
    return run([] {}, Deadline::never()) == Status::kOk ? 0 : 2;
  });
  EXPECT_TRUE(testing::exited_with(status, 0)) << status;
}

}  // namespace
}  // namespace coev
