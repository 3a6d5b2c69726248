#include <new>

#include "core/offload.h"
#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"

namespace coev::python {
namespace {

class NativeJob final : public offload::Job {
 public:
  NativeJob(void (*function)(void*), void* argument, void (*release)(void*)) noexcept
      : function_(function), argument_(argument), release_(release) {}
  void run() noexcept override { function_(argument_); }
  void discard() noexcept override {
    if (release_ != nullptr) release_(argument_);
    delete this;
  }
  // The argument stays the caller's.
  void keep_argument() noexcept { release_ = nullptr; }

 private:
  void (*function_)(void*);
  void* argument_;
  void (*release_)(void*);
};

}  // namespace

int api_offload_call(void (*function)(void*), void* argument, void (*release)(void*),
                     double timeout, int flags) {
  if ((flags & ~(COEV_KEEP | COEV_UNLIMITED)) != 0) {
    if (release != nullptr) release(argument);
    PyErr_SetString(PyExc_ValueError, "flags must be COEV_KEEP, COEV_UNLIMITED, both or 0");
    return -1;
  }
  auto* job = new (std::nothrow) NativeJob(function, argument, release);
  if (job == nullptr) {
    if (release != nullptr) release(argument);
    PyErr_NoMemory();
    return -1;
  }
  const Deadline deadline = deadline_of(timeout);
  const auto limit =
      (flags & COEV_UNLIMITED) != 0 ? offload::Limit::kIgnored : offload::Limit::kObeyed;
  const Status submitted = can_block() ? offload::submit(*job, limit) : Status::kInterrupted;
  if (submitted != Status::kOk) {
    if (submitted == Status::kInterrupted) job->discard();
    raise(submitted);
    return -1;
  }
  const int result = block([&] { return offload::wait(*job, deadline); });
  if (result == 1 && (flags & COEV_KEEP) != 0) job->keep_argument();
  result == 1 ? job->discard() : offload::abandon(*job);
  return result;
}

int api_offload(void (*function)(void*), void* argument, void (*release)(void*), double timeout) {
  return api_offload_call(function, argument, release, timeout, 0);
}

}  // namespace coev::python
