// What ASan, TSan and valgrind must be told about a stack switch. Every
// function is empty in a build without the tool.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define COEV_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(__SANITIZE_THREAD__)
#define COEV_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define COEV_VALGRIND 1
#endif

namespace coev::sanitizer {

// The state a sanitizer keeps for one stack.
struct Fiber {
#ifdef COEV_ASAN
  void* fake_stack = nullptr;
  const void* stack_bottom = nullptr;  // 0 for a native stack: learnt at the first switch
  std::size_t stack_bytes = 0;
#endif
#ifdef COEV_TSAN
  void* tsan = nullptr;
#endif
#ifdef COEV_VALGRIND
  unsigned valgrind_id = 0;
#endif
};

// Memory that was just mapped. What stood at its address before may have left
// marks: frames that never returned.
inline void forget_marks([[maybe_unused]] void* low, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef COEV_ASAN
  __asan_unpoison_memory_region(low, bytes);
#endif
}

inline void adopt_native_stack([[maybe_unused]] Fiber& fiber) noexcept {
#ifdef COEV_TSAN
  fiber.tsan = __tsan_get_current_fiber();
#endif
}

inline void create(Fiber& fiber, void* low, std::size_t bytes) noexcept {
  static_cast<void>(fiber), static_cast<void>(low), static_cast<void>(bytes);
#ifdef COEV_ASAN
  fiber.stack_bottom = low;
  fiber.stack_bytes = bytes;
#endif
#ifdef COEV_TSAN
  fiber.tsan = __tsan_create_fiber(0);
#endif
#ifdef COEV_VALGRIND
  fiber.valgrind_id = VALGRIND_STACK_REGISTER(low, static_cast<char*>(low) + bytes);
#endif
}

inline void destroy([[maybe_unused]] Fiber& fiber) noexcept {
#ifdef COEV_TSAN
  if (fiber.tsan != nullptr) __tsan_destroy_fiber(fiber.tsan);
#endif
#ifdef COEV_VALGRIND
  VALGRIND_STACK_DEREGISTER(fiber.valgrind_id);
#endif
}

// What is reachable only from a stack is not leaked.
inline void add_roots([[maybe_unused]] const void* low,
                      [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef COEV_ASAN
  __lsan_register_root_region(low, bytes);
#endif
}
inline void remove_roots([[maybe_unused]] const void* low,
                         [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef COEV_ASAN
  __lsan_unregister_root_region(low, bytes);
#endif
}

// Call before leaving `from` for `to`. Inlined always: TSan counts calls and
// returns of each fiber, and this would return on another one.
[[gnu::always_inline]] inline void before_switch([[maybe_unused]] Fiber& from,
                                                 [[maybe_unused]] Fiber& to) noexcept {
#ifdef COEV_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack_bottom, to.stack_bytes);
#endif
#ifdef COEV_TSAN
  __tsan_switch_to_fiber(to.tsan, 0);
#endif
}

// Call first thing on the stack of `now`; `before` is where the switch came from.
inline void after_switch([[maybe_unused]] Fiber& now, [[maybe_unused]] Fiber& before) noexcept {
#ifdef COEV_ASAN
  __sanitizer_finish_switch_fiber(now.fake_stack, &before.stack_bottom, &before.stack_bytes);
#endif
}

}  // namespace coev::sanitizer
