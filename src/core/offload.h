// Offload: runs a function that blocks its OS thread on a small pool of real
// threads, while the calling coroutine waits.
//
// Threads are started when a job finds none idle, up to a limit, and end after
// being idle for some seconds. They block every signal. After a fork the child
// starts with an empty pool.
#pragma once

#include <cstddef>

#include "core/status.h"
#include "core/time.h"

namespace coev::offload {

// Whether a job waits while as many run as the limit allows. One that may wait for
// other jobs must not: it comes first, and gets a thread of its own if none is idle.
enum class Limit { kObeyed, kIgnored };

// A job lives on the heap and is shared by its caller and the pool: whoever is
// last calls discard(). run() happens at most once, on a pool thread.
class Job {
 public:
  Job() = default;
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual void run() noexcept = 0;
  // Frees the job; may be called on either side.
  virtual void discard() noexcept = 0;

 private:
  friend struct Pool;
  enum class Stage { kQueued, kRunning, kDone, kAbandoned };
  Stage stage_ = Stage::kQueued;  // under the pool's mutex
  Limit limit_ = Limit::kObeyed;
  Job* next_ = nullptr;
};

// Queues `job`. On an error it is discarded already.
// SWITCHES: never. ERRORS: kNoMemory (no thread can be started).
Status submit(Job& job, Limit limit = Limit::kObeyed) noexcept;

// Waits until a submitted job has run; may be repeated after an error. Then the
// caller reads the result and calls discard(), or gives the job up.
// SWITCHES: only if the job has not run. ERRORS: kTimedOut, kInterrupted.
Status wait(Job& job, Deadline deadline) noexcept;

// Gives the job to the pool: it is dropped if it has not begun, else it goes on
// alone and is discarded when it ends.
void abandon(Job& job) noexcept;

void set_thread_limit(std::size_t threads) noexcept;  // default 8
[[nodiscard]] std::size_t thread_limit() noexcept;
[[nodiscard]] std::size_t thread_count() noexcept;

// Ends the idle threads and waits for them. A thread whose job is still running
// is left alone.
void shut_down() noexcept;

// In the child of a fork: the threads do not exist there.
void forget_threads() noexcept;

}  // namespace coev::offload
