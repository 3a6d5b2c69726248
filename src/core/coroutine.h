// A coroutine: one stack, one context, and its place in the scheduler.
//
// The object is a slot: it lies at the top of its own stack, is made once, and
// runs one function after another; id says which of them. Coroutines never
// migrate between OS threads.
//
// Above it, to the end of the stack's memory, lies the annex, for the binding.
// The stack grows down from the middle of a page and the annex up from there, so
// a coroutine that waits not far from its beginning touches one page only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/context.h"
#include "core/intrusive_list.h"
#include "core/local.h"
#include "core/sanitizer.h"
#include "core/spin_lock.h"
#include "core/stack.h"
#include "core/status.h"
#include "core/timer.h"

namespace coev {

class Scheduler;
class WaitQueue;

// Forks between the first process and this one. What belongs to an earlier
// generation exists only in an ancestor.
namespace fork_generation {
inline std::atomic<std::uint32_t> current{0};
inline SpinLock guard;  // while one thread empties what an ancestor filled
}  // namespace fork_generation

// Work another OS thread hands to a scheduler. Pushed lock-free, run on the
// scheduler's own thread between two turns.
struct Message {
  using Run = void (*)(Message& message) noexcept;
  Message* next = nullptr;
  Run run = nullptr;
};

enum class CoroutineState : std::uint8_t {
  kReady,     // linked in the run queue
  kRunning,   // the scheduler's current()
  kParked,    // linked in one WaitQueue, or claimed and about to be ready
  kFinished,  // in the slot pool
};

// Two words that libstdc++ keeps per OS thread about exceptions being handled.
using ExceptionGlobals = std::array<void*, 2>;

struct Coroutine;

// A timer and a message that know whose they are.
struct CoroutineTimer : Timer {
  Coroutine* coroutine = nullptr;
};
struct WakeMessage : Message {
  Coroutine* coroutine = nullptr;
};

// What other OS threads want of a coroutine: one message, however often they ask, so that nothing
// piles up where a scheduler does not run its loop for long.
struct Notice : Message {
  Coroutine* coroutine = nullptr;
  SpinLock guard;
  std::uint64_t id = 0;  // all below under the guard: of the function they are for
  bool unpark = false;
  bool interrupt = false;
  bool under_way = false;
};

struct Coroutine : ListLink {
  using Entry = void (*)(void* argument);

  static constexpr std::size_t kLineBytes = 64;  // of the caches

  // Not a multiple of a page: the rest is what the stack has of the shared one.
  static constexpr std::size_t kAnnexBytes = 4 * 4096 + 1152;

  // First what every switch and every wake touches, so that it lies in two cache
  // lines: among many coroutines each one is a miss.
  Context context;
  WaitQueue* queue = nullptr;     // where it is parked; not owned
  void* thread_state = nullptr;   // the binding's; made once a slot
  void* owner = nullptr;          // the binding's object for the running function
  std::uint16_t wait_events = 0;  // the events it waits for on an fd; else 0
  CoroutineState state = CoroutineState::kFinished;
  Status wake_status = Status::kOk;
  bool interrupt_pending = false;  // consumed by the interrupted operation's caller
  bool permit = false;             // an unpark that came before its park
  std::uint8_t stack_lines = 0;    // what it will touch when it goes on: hints for LookAhead,
  std::uint8_t annex_line = 0;     // in cache lines from its stack pointer and of its annex
  void* annex = nullptr;           // kAnnexBytes; nullptr on the OS thread's own stack
  Scheduler* scheduler = nullptr;  // not owned
  ExceptionGlobals exception_globals{};
  Coroutine* ahead = nullptr;  // made ready a few later, if both still are: see LookAhead
  CoroutineTimer deadline;     // of the current park
  std::uint64_t id = 0;        // 0: runs nothing
  std::uint32_t generation = fork_generation::current.load(std::memory_order_relaxed);

  const void* park_key = nullptr;  // whose waiter it is in a parking lot queue
  std::uint64_t park_value = 0;    // what the waker should know
  WakeMessage wake;                // posts it home from another OS thread
  Notice notice;
  Entry entry = nullptr;
  void* argument = nullptr;
  Stack stack;  // empty for the OS thread's own stack
  LocalStorage locals;
  sanitizer::Fiber fiber;
  Coroutine* chain_next = nullptr;  // the slot pool's list; or, claimed, the waker's
  Coroutine* all_next = nullptr;    // the scheduler's list of every slot it made

  // The binding's frame that goes on when the coroutine does, in the annex or not.
  void note_frame(const void* frame) noexcept {
    const std::uintptr_t line =
        (reinterpret_cast<std::uintptr_t>(frame) - reinterpret_cast<std::uintptr_t>(annex)) /
        kLineBytes;
    annex_line = line <= UINT8_MAX ? static_cast<std::uint8_t>(line) : 0;
  }
};

#ifndef COEV_USE_UCONTEXT  // whose context is larger than a line
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // compilers put the base class first
static_assert(offsetof(Coroutine, scheduler) == Coroutine::kLineBytes);
static_assert(offsetof(Coroutine, id) + sizeof(Coroutine::id) <= 2 * Coroutine::kLineBytes);
#pragma GCC diagnostic pop
#endif

}  // namespace coev
