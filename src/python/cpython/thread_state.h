// Thread states: what CPython keeps for each coroutine, and all that differs
// between its versions. No other file of the project asks for the version.
//
// Every slot has a PyThreadState of its own, made with the slot and kept until
// the interpreter ends. A switch of stacks is a switch of thread states.
// GIL: held in every function, unless it says otherwise.
#pragma once

#include <Python.h>

#include "core/scheduler.h"

namespace coev::python::thread_state {

// Once, on import. False with ImportError set when this interpreter cannot be
// supported.
[[nodiscard]] bool initialize() noexcept;

// This OS thread's scheduler, whose main coroutine stands for the thread.
[[nodiscard]] Scheduler& scheduler() noexcept;
inline void ensure_scheduler() noexcept { static_cast<void>(scheduler()); }

// The one whose main coroutine runs the signal handlers; nullptr if that OS thread
// has none. THREAD: any; safe in a signal handler.
[[nodiscard]] Scheduler* main_scheduler() noexcept;

// What a stack has unless threading.stack_size() says otherwise: enough for the
// recursion that this version lets happen.
[[nodiscard]] std::size_t default_stack_bytes() noexcept;

// Hooks of the core.
bool slot_created(Coroutine& slot) noexcept;
void switching(Coroutine& from, Coroutine& to) noexcept;
void before_sleep(Scheduler& scheduler) noexcept;  // releases the GIL
void after_sleep(Scheduler& scheduler) noexcept;
// Makes the current thread state as fresh as a new thread's. Runs finalizers,
// which may run any Python code.
void reset_current() noexcept;

// The end of that again, for what has run since then. Cheap when nothing has.
void forget_locals() noexcept;

// Gives the current slot's thread state its identity for a new function.
void set_ident(Coroutine& slot, unsigned long ident) noexcept;
[[nodiscard]] unsigned long ident() noexcept;  // of whom the current thread state stands for
[[nodiscard]] PyFrameObject* frame_of(const Coroutine& coroutine) noexcept;  // new reference

// Keeps `object` (borrowed) under `name` until CPython clears the thread state of
// `coroutine`. ERRORS: false with MemoryError set.
[[nodiscard]] bool keep(Coroutine& coroutine, const char* name, PyObject* object) noexcept;

// From 3.13 on only one thread state is told that a signal is pending. This
// tells the one that is running. Safe in a signal handler, without the GIL.
void mark_signal_pending() noexcept;
// Has CPython call `function` between two instructions of Python code on the main
// coroutine of the main OS thread, the next time that runs. A call that is still
// to come is not repeated. It may come late, on another coroutine: `function`
// looks and asks again. REQUIRES: the main OS thread.
void call_on_main(int (*function)(void*)) noexcept;
// Whether this is the OS thread that runs signal handlers.
[[nodiscard]] bool on_main_os_thread() noexcept;

// Whether switches on this OS thread go through PyThreadState_Swap(), which from
// 3.12 on gives up the GIL and takes it again, for want of anything better.
[[nodiscard]] bool swaps_by_gil() noexcept;

// For code in C that runs long: gives the GIL to other OS threads, if there are any, when it
// was not offered for 5 ms, CPython's switch interval. Other code of theirs runs meanwhile.
void offer_gil_if_due() noexcept;

// The interpreter is gone, and with it every thread state.
void forget_interpreter() noexcept;

// Whether this version starts no thread once it has begun to wait for the last ones.
[[nodiscard]] bool refuses_threads_at_exit() noexcept;

// A thread state for this OS thread, which is not Python's, and the GIL. Without memory there is
// none, where PyGILState_Ensure() would end the process.
class Attachment {
 public:
  Attachment() noexcept;
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  explicit operator bool() const noexcept { return made_ != nullptr || is_known_; }

 private:
  PyThreadState* made_ = nullptr;
  bool is_known_;  // the OS thread had one
  PyGILState_STATE gil_{};
};

// True once the interpreter has begun to tear itself down: nothing may switch.
[[nodiscard]] bool finalizing() noexcept;

// Where the lock objects of _thread keep what coev takes over; byte offsets.
struct LockLayout {
  std::size_t lock_word;      // lock: one byte, 1 while locked
  std::size_t rlock_owner;    // RLock: the owner's ident, then a count
  std::int64_t count_offset;  // what the count of an RLock taken once lacks to 1
};
[[nodiscard]] LockLayout lock_layout() noexcept;

// The exception that is set, normalized and with its traceback, taken off the
// thread state. New reference. REQUIRES: one is set.
[[nodiscard]] PyObject* take_exception() noexcept;
// Raises it here: what is being handled becomes its context. Borrows it.
void set_exception(PyObject* exception) noexcept;
// Sets it again as it was, with its own context. Borrows it.
void restore_exception(PyObject* exception) noexcept;

// Reports the exception that is set as a thread's last words, through
// sys.unraisablehook.
void report_thread_exception(PyObject* function) noexcept;

// What _thread._set_sentinel() left on the current thread state (up to 3.12):
// a weak reference to the lock to release at the end. New reference or nullptr.
[[nodiscard]] PyObject* take_sentinel() noexcept;
// Leaves one for the end of `slot`, which has none and is not running. Steals it. `release`
// gets it if the thread state is thrown away before that end.
void leave_sentinel(Coroutine& slot, PyObject* reference, void (*release)(void*)) noexcept;

}  // namespace coev::python::thread_state
