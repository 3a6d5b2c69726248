#include "core/look_ahead.h"

namespace coev {
namespace {

template <int kLines>
void prefetch(const void* address) noexcept {
  if (address == nullptr) return;
  constexpr int kLineBytes = 64;
  const auto* line = static_cast<const char*>(address);
#pragma GCC unroll 16
  for (int i = 0; i < kLines; ++i) __builtin_prefetch(line + i * kLineBytes);
  // Without it GCC takes the function for one without effect and drops its calls.
  asm volatile("");
}

}  // namespace

void LookAhead::fetch_pages(IntrusiveList<Coroutine>& ready) noexcept {
  Coroutine* coroutine = ready.first();
  for (std::size_t i = 0; i < kDistance; ++i) {
    prefetch<2>(coroutine->ahead);
    prefetch<1>(coroutine->thread_state);
    prefetch<1>(coroutine->queue);
    coroutine = ready.next(*coroutine);
  }
}

void LookAhead::fetch_lines(const Coroutine& coroutine) noexcept {
  prefetch<11>(coroutine.context.stack_pointer());
  prefetch<5>(coroutine.annex);
  prefetch<5>(coroutine.thread_state);
  prefetch<1>(coroutine.queue);  // of an fd: beside it is what else is known of that
}

}  // namespace coev
