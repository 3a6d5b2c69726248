#include "python/waiting/offloading.h"

#include <signal.h>

#include <atomic>
#include <new>
#include <utility>

#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

// A call into Python on a pool thread. The references are given back with the
// GIL, on whichever side discards the job. The call has the signal mask of its
// caller, for a process that it starts inherits it.
class CallJob final : public offload::Job {
 public:
  CallJob(PyObject* function, PyObject* arguments, PyObject* keywords) noexcept
      : function_(Py_NewRef(function)),
        arguments_(Py_XNewRef(arguments)),
        keywords_(Py_XNewRef(keywords)) {
    pthread_sigmask(SIG_SETMASK, nullptr, &signal_mask_);
  }

  void run() noexcept override {
    sigset_t own_mask;
    pthread_sigmask(SIG_SETMASK, &signal_mask_, &own_mask);
    call();
    pthread_sigmask(SIG_SETMASK, &own_mask, nullptr);
  }

  void call() noexcept {
    const thread_state::Attachment attachment;
    if (!attachment) return;
    result_ = PyObject_Call(function_, arguments_, keywords_);
    if (result_ == nullptr) exception_ = thread_state::take_exception();
  }

  void discard() noexcept override {
    if (thread_state::finalizing()) return;
    const thread_state::Attachment attachment;
    if (!attachment) {  // whoever has the GIL next does it
      next_ = g_to_drop.load();
      while (!g_to_drop.compare_exchange_weak(next_, this)) {
      }
      return;
    }
    drop();
  }

  // REQUIRES: the GIL is held.
  static void drop_others() noexcept {
    CallJob* job = g_to_drop.load(std::memory_order_relaxed) == nullptr
                       ? nullptr
                       : g_to_drop.exchange(nullptr);
    while (job != nullptr) std::exchange(job, job->next_)->drop();
  }

  // New reference, or nullptr with an exception set: the function's, or MemoryError.
  PyObject* take_outcome() noexcept {
    if (result_ == nullptr && exception_ == nullptr) return PyErr_NoMemory();
    if (exception_ == nullptr) return std::exchange(result_, nullptr);
    thread_state::set_exception(exception_);
    return nullptr;
  }

 private:
  void drop() noexcept {
    Py_DECREF(function_);
    Py_XDECREF(arguments_);
    Py_XDECREF(keywords_);
    Py_XDECREF(result_);
    Py_XDECREF(exception_);
    delete this;
  }

  static inline std::atomic<CallJob*> g_to_drop{nullptr};
  CallJob* next_ = nullptr;
  PyObject* function_;
  PyObject* arguments_;
  PyObject* keywords_;
  PyObject* result_ = nullptr;
  PyObject* exception_ = nullptr;
  sigset_t signal_mask_;
};

}  // namespace

PyObject* run_offloaded(PyObject* function, PyObject* arguments, PyObject* keywords,
                        PyObject* timeout, offload::Limit limit) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline) || !can_block()) return nullptr;
  CallJob::drop_others();
  // A job cannot be waited for twice: a signal handler must not end the wait.
  auto* job = new (std::nothrow) CallJob(function, arguments, keywords);
  if (job == nullptr) return PyErr_NoMemory();
  thread_state::ensure_scheduler();
  Status status = offload::submit(*job, limit);
  if (status == Status::kOk) {
    status = wait([&] { return offload::wait(*job, deadline); });
    if (status != Status::kOk) offload::abandon(*job);
  }
  if (status != Status::kOk) return raise(status);
  PyObject* result = job->take_outcome();
  job->discard();
  return result;
}

}  // namespace coev::python
