#include "core/helper_thread.h"

#include "core/sanitizer.h"

namespace coev {
namespace {

// Frames that cancelling cuts off leave their marks on the stack, where the end of
// the thread comes along.
void forget_cut_off_frames(void*) {
  constexpr std::size_t kReachBytes = 64 * 1024;
  sanitizer::forget_marks(static_cast<char*>(__builtin_frame_address(0)) - kReachBytes,
                          kReachBytes);
}

}  // namespace

void HelperThread::end() noexcept {
  if (!started_) return;
  started_ = false;
  if (!returned_.is_set()) pthread_cancel(thread_);
  pthread_join(thread_, nullptr);
}

Status HelperThread::start(Function function, void* argument, const sigset_t& signals) noexcept {
  function_ = function;
  argument_ = argument;
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &signals, &before);
  started_ = pthread_create(&thread_, nullptr, run, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started_ ? Status::kOk : Status::kNoMemory;
}

void* HelperThread::run(void* self) {
  auto& helper = *static_cast<HelperThread*>(self);
  pthread_cleanup_push(forget_cut_off_frames, nullptr);
  helper.function_(helper.argument_);
  pthread_cleanup_pop(1);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  helper.returned_.set();
  return nullptr;
}

}  // namespace coev
