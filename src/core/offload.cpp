#include "core/offload.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <cerrno>

#include "core/parking_lot.h"
#include "core/scheduler.h"

namespace coev::offload {

namespace {
constexpr std::int64_t kIdleSeconds = 10;
}

struct Pool {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t work;
  pthread_cond_t ended;
  Job* first = nullptr;  // FIFO
  Job* last = nullptr;
  std::size_t queued = 0;
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::size_t limit = 8;
  std::size_t beyond_limit = 0;  // jobs, queued or running, that it is not for
  bool closing = false;

  Pool() noexcept {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&work, &monotonic);
    pthread_cond_init(&ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
  }

  void push(Job& job) noexcept {
    job.next_ = nullptr;
    (last != nullptr ? last->next_ : first) = &job;
    last = &job;
    ++queued;
  }
  void push_first(Job& job) noexcept {
    job.next_ = first;
    if (first == nullptr) last = &job;
    first = &job;
    ++queued;
  }
  Job* pop() noexcept {
    Job* job = first;
    if (job == nullptr) return nullptr;
    first = job->next_;
    if (first == nullptr) last = nullptr;
    --queued;
    return job;
  }

  void enter(Job& job, Limit kind) noexcept {
    job.limit_ = kind;
    if (kind == Limit::kIgnored) ++beyond_limit;
  }
  void leave(const Job& job) noexcept {
    if (job.limit_ == Limit::kIgnored) --beyond_limit;
  }

  // A job may need another lock to go (the GIL), whose holder may wait for us.
  // REQUIRES: the mutex is held; it is released meanwhile.
  void discard(Job& job) noexcept {
    pthread_mutex_unlock(&mutex);
    job.discard();
    pthread_mutex_lock(&mutex);
  }

  // The next job that somebody still waits for; nullptr: the thread should end.
  // REQUIRES: the mutex is held.
  Job* next_job() noexcept {
    for (;;) {
      while (Job* job = pop()) {
        if (job->stage_ == Job::Stage::kQueued) return job;
        leave(*job);
        discard(*job);
      }
      if (closing || !wait_for_work()) return nullptr;
    }
  }

  bool wait_for_work() noexcept {  // false: idle for too long
    timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += kIdleSeconds;
    ++idle;
    int result = 0;
    while (first == nullptr && !closing && result != ETIMEDOUT) {
      result = pthread_cond_timedwait(&work, &mutex, &until);
    }
    --idle;
    return first != nullptr;
  }

  void work_loop() noexcept {
    pthread_mutex_lock(&mutex);
    while (Job* job = next_job()) {
      job->stage_ = Job::Stage::kRunning;
      pthread_mutex_unlock(&mutex);
      job->run();
      pthread_mutex_lock(&mutex);
      finish(*job);
      if (threads > limit + beyond_limit) break;
    }
    --threads;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&mutex);
  }

  // REQUIRES: the mutex is held.
  void finish(Job& job) noexcept {
    leave(job);
    if (job.stage_ == Job::Stage::kAbandoned) {
      discard(job);
      return;
    }
    job.stage_ = Job::Stage::kDone;
    parking_lot::wake_one(&job);
  }

  // REQUIRES: the mutex is held.
  bool start_thread() noexcept {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const auto entry = [](void* pool) -> void* {
      static_cast<Pool*>(pool)->work_loop();
      return nullptr;
    };
    const int error = pthread_create(&thread, nullptr, entry, this);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (error != 0) return false;
    pthread_detach(thread);
    ++threads;
    return true;
  }

  // REQUIRES: the mutex is held.
  bool has_thread_for_one_more() noexcept {
    if (idle > queued) return true;
    if (threads < limit + beyond_limit && start_thread()) return true;
    return threads > beyond_limit;
  }

  // REQUIRES: the mutex is held.
  bool has_thread_at_once() noexcept { return idle > queued || start_thread(); }

  // REQUIRES: the mutex is held.
  Status submit(Job& job, Limit kind) noexcept {
    const bool at_once = kind == Limit::kIgnored;
    if (!(at_once ? has_thread_at_once() : has_thread_for_one_more())) return Status::kNoMemory;
    enter(job, kind);
    at_once ? push_first(job) : push(job);
    pthread_cond_signal(&work);
    return Status::kOk;
  }

  // REQUIRES: the mutex is held; it is released.
  Status wait(Job& job, Deadline deadline) noexcept {
    if (job.stage_ == Job::Stage::kDone) {
      pthread_mutex_unlock(&mutex);
      return Status::kOk;
    }
    return parking_lot::park(&job, deadline, [this] {
      pthread_mutex_unlock(&mutex);
      return false;
    });
  }

  // REQUIRES: the mutex is held. True: the job has run; its owner discards it.
  bool abandon(Job& job) noexcept {
    if (job.stage_ == Job::Stage::kDone) return true;
    job.stage_ = Job::Stage::kAbandoned;
    return false;
  }

  std::size_t read(std::size_t Pool::*number) noexcept {
    pthread_mutex_lock(&mutex);
    const std::size_t value = this->*number;
    pthread_mutex_unlock(&mutex);
    return value;
  }

  static Pool& instance() noexcept { return *current; }
  static Pool* current;  // never destroyed: its threads may outlive main()
};

Pool* Pool::current = new Pool;

Status submit(Job& job, Limit limit) noexcept {
  Pool& pool = Pool::instance();
  pthread_mutex_lock(&pool.mutex);
  const Status status = pool.submit(job, limit);
  pthread_mutex_unlock(&pool.mutex);
  if (status != Status::kOk) job.discard();
  return status;
}

Status wait(Job& job, Deadline deadline) noexcept {
  Pool& pool = Pool::instance();
  pthread_mutex_lock(&pool.mutex);
  return pool.wait(job, deadline);
}

void abandon(Job& job) noexcept {
  Pool& pool = Pool::instance();
  pthread_mutex_lock(&pool.mutex);
  const bool ran = pool.abandon(job);
  pthread_mutex_unlock(&pool.mutex);
  if (ran) job.discard();
}

void set_thread_limit(std::size_t threads) noexcept {
  Pool& pool = Pool::instance();
  pthread_mutex_lock(&pool.mutex);
  pool.limit = threads;
  pthread_mutex_unlock(&pool.mutex);
}

std::size_t thread_limit() noexcept { return Pool::instance().read(&Pool::limit); }
std::size_t thread_count() noexcept { return Pool::instance().read(&Pool::threads); }

void shut_down() noexcept {
  Pool& pool = Pool::instance();
  pthread_mutex_lock(&pool.mutex);
  pool.closing = true;
  pthread_cond_broadcast(&pool.work);
  while (pool.idle > 0) pthread_cond_wait(&pool.ended, &pool.mutex);
  pthread_mutex_unlock(&pool.mutex);
}

void forget_threads() noexcept {
  auto* pool = new Pool;
  pool->limit = Pool::current->limit;
  Pool::current = pool;
}

}  // namespace coev::offload
