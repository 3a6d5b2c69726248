#include "core/look_ahead.h"

namespace coev {
namespace {

constexpr std::ptrdiff_t kLineBytes = Coroutine::kLineBytes;

void prefetch(const void* address, int lines) noexcept {
  if (address == nullptr) return;
  const auto* line = static_cast<const char*>(address);
  for (const char* end = line + lines * kLineBytes; line != end; line += kLineBytes) {
    __builtin_prefetch(line);
  }
  // Without it GCC takes the function for one without effect and drops its calls.
  asm volatile("");
}

}  // namespace

void LookAhead::fetch_pages(IntrusiveList<Coroutine>& ready) noexcept {
  Coroutine* coroutine = ready.first();
  for (std::size_t i = 0; i < kDistance; ++i) {
    prefetch(coroutine->ahead, 2);
    prefetch(coroutine->thread_state, 1);
    prefetch(coroutine->queue, 1);
    coroutine = ready.next(*coroutine);
  }
}

void LookAhead::fetch_lines(const Coroutine& coroutine) noexcept {
  if (const char* stack_pointer = coroutine.context.stack_pointer()) {
    prefetch(stack_pointer - kLinesBelow * kLineBytes, kLinesBelow + coroutine.stack_lines);
  }
  if (const char* annex = static_cast<const char*>(coroutine.annex)) {
    prefetch(annex + coroutine.annex_line * kLineBytes, kLinesOfFrame);
  }
  prefetch(coroutine.thread_state, 2);
  prefetch(coroutine.queue, 1);  // of an fd: beside it is what else is known of that
}

}  // namespace coev
