#include "python/monkey/libraries/native_wait.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "python/monkey/threads/preemption.h"
#include "python/waiting/coroutine_object.h"

namespace coev::python::libraries {
namespace {

// True in a child of fork until Python has run there: the GIL may be held by a thread
// that the child does not have.
std::atomic<bool> g_before_python{false};

void note_fork() { g_before_python.store(true, std::memory_order_relaxed); }

}  // namespace

void watch_forks() noexcept { pthread_atfork(nullptr, nullptr, note_fork); }

void note_python_in_child() noexcept { g_before_python.store(false, std::memory_order_relaxed); }

bool may_wait_here() noexcept {
  Scheduler* scheduler = Scheduler::find();
  return scheduler != nullptr && PyGILState_GetThisThreadState() != nullptr && !is_closed() &&
         scheduler->current().state == CoroutineState::kRunning &&
         !g_before_python.load(std::memory_order_relaxed);
}

GilForWait::~GilForWait() {
  if (hidden_ != nullptr) {
    thread_state::restore_exception(hidden_);
    Py_DECREF(hidden_);
  }
  const int saved = errno;
  PyGILState_Release(gil_);
  errno = saved;
}

void GilForWait::postpone() noexcept {
  PyObject* exception = thread_state::take_exception();
  CoroutineObject* self = current_object();
  if (self == nullptr || !throw_into(self, exception)) PyErr_WriteUnraisable(nullptr);
  Py_DECREF(exception);
  preemption::strike();
  errno = ECANCELED;
}

Status wait_for(int fd, unsigned event, Deadline deadline) noexcept {
  unsigned ready = 0;
  return wait_natively([&] {
    return thread_state::scheduler().readiness().wait(fd, event, deadline, nullptr, &ready);
  });
}

Status pause(unsigned attempt) noexcept {
  constexpr std::int64_t kFirstNs = 20'000;
  constexpr unsigned kLongest = 9;  // about 10 ms
  return wait_natively([&] {
    Scheduler& scheduler = thread_state::scheduler();
    if (attempt == 0) return scheduler.yield();
    const Deadline deadline = Deadline::after(kFirstNs << std::min(attempt, kLongest));
    const Status status = scheduler.sleep_until(deadline);
    return status == Status::kTimedOut ? Status::kOk : status;
  });
}

}  // namespace coev::python::libraries
