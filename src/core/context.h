// A context: the registers a suspended stack needs to go on, and nothing else.
//
// x86-64 and aarch64 have a few instructions of assembly; elsewhere, or with
// COEV_USE_UCONTEXT, ucontext does it (and pays a system call a switch).
// Saved: the callee-saved registers and the floating-point control words. Not
// saved: signal masks, errno, anything the C library keeps per OS thread.
#pragma once

#include <cstddef>

#if !defined(COEV_USE_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define COEV_USE_UCONTEXT 1
#endif

#ifdef COEV_USE_UCONTEXT
#include <ucontext.h>
#else
extern "C" void coev_context_switch(void** from_stack_pointer, void* to_stack_pointer) noexcept;
#endif

namespace coev {

class Context {
 public:
  using Entry = void (*)(void* argument);

  // Prepares `entry(argument)` to run on the stack [low, low + bytes).
  // `entry` must never return.
  void prepare(void* low, std::size_t bytes, Entry entry, void* argument) noexcept;

  // SWITCHES: always. Returns when somebody switches back to `from`.
  static void switch_between(Context& from, Context& to) noexcept {
#ifdef COEV_USE_UCONTEXT
    swapcontext(&from.saved_, &to.saved_);
#else
    coev_context_switch(&from.stack_pointer_, to.stack_pointer_);
#endif
  }

  // Where the stack ended when it was left; nullptr where that is not known.
  [[nodiscard]] const char* stack_pointer() const noexcept {
#ifdef COEV_USE_UCONTEXT
    return nullptr;
#else
    return static_cast<const char*>(stack_pointer_);
#endif
  }

 private:
#ifdef COEV_USE_UCONTEXT
  ucontext_t saved_;
#else
  void* stack_pointer_ = nullptr;
#endif
};

}  // namespace coev
