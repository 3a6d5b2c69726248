// coev.Coroutine: the Python object for one function that runs as a coroutine.
//
// The object outlives the slot it runs in. OWNS: its function, arguments,
// result and exception; the running coroutine owns one reference to it.
#pragma once

#include <Python.h>

#include "core/event.h"
#include "core/scheduler.h"

namespace coev::python {

// A block that may throw into the coroutine that runs it. Between two turns it is only marked
// as due: what it throws is made where it is raised, by the coroutine itself.
class Scope : public ListLink {
 public:
  // New reference; nullptr with an exception set.
  virtual PyObject* make_exception() noexcept = 0;
  // The coroutine ends inside the block.
  virtual void abandon() noexcept = 0;
  bool due = false;

 protected:
  ~Scope() = default;
};

struct CoroutineObject {
  PyObject_HEAD Coroutine* last_slot;  // nullptr once finished; not owned
  unsigned long ident;                 // as threading.get_ident() gives it
  PyObject* function;
  PyObject* arguments;  // tuple, or nullptr for none
  PyObject* keywords;   // dict, or nullptr for none
  PyObject* result;     // once finished: one of these two
  PyObject* exception;
  PyObject* name;     // nullptr until somebody asks
  PyObject* pending;  // list of exceptions thrown and not raised yet, or nullptr
  PyObject* passed;   // what the last switch() to it passed
  PyObject* weak_references;
  Event finished;
  IntrusiveList<Scope> scopes;  // it is inside of, the outermost first; not owned
  bool started;                 // the function was entered
  bool is_thread;               // made by spawn_thread()
  bool is_daemon;
  bool is_main;    // stands for an OS thread, and finishes with it
  bool retrieved;  // somebody has seen the exception
  bool is_listed;  // threading has it among its active threads until its function ends

  // Where it runs; nullptr once it has ended.
  [[nodiscard]] Coroutine* slot() const noexcept { return is_left_behind() ? nullptr : last_slot; }
  // Whether its function has returned, or will not do so in this process.
  [[nodiscard]] bool has_ended() const noexcept { return finished.is_set() || is_left_behind(); }
  // Whether it runs in an ancestor of this process only, from which another coroutine forked.
  [[nodiscard]] bool is_left_behind() const noexcept {
    return last_slot != nullptr &&
           last_slot->generation != fork_generation::current.load(std::memory_order_relaxed);
  }
  // SWITCHES: only if it has not ended. ERRORS: kTimedOut, kInterrupted.
  Status wait_for_end(Deadline deadline) noexcept {
    return is_left_behind() ? Status::kOk : finished.wait(deadline);
  }
};

extern PyTypeObject* coroutine_type;
extern PyObject* coroutine_exit;  // the exception kill() throws, a SystemExit

// Starts function(*arguments, **keywords); steals neither. `arguments` and
// `keywords` may be nullptr. nullptr with RuntimeError("can't start new thread").
// SWITCHES: never.
[[nodiscard]] CoroutineObject* spawn(PyObject* function, PyObject* arguments,
                                     PyObject* keywords) noexcept;
// spawn() for a thread: its errors are reported as a thread's, and the interpreter
// waits for it before it ends, unless it is a daemon.
[[nodiscard]] CoroutineObject* spawn_thread(PyObject* function, PyObject* arguments,
                                            PyObject* keywords, bool daemon) noexcept;

// Has the end of `thread`, which has not run yet, release `lock`, a _thread.lock, as up to 3.12
// _thread._set_sentinel() does. False with an exception set.
[[nodiscard]] bool release_at_end(CoroutineObject* thread, PyObject* lock) noexcept;

// The object of a running coroutine; made on demand for an OS thread's main
// one. Borrowed; nullptr with an exception set.
[[nodiscard]] CoroutineObject* object_of(Coroutine& coroutine) noexcept;
[[nodiscard]] CoroutineObject* current_object() noexcept;

// Raises the next exception thrown into `self`, if there is one.
[[nodiscard]] bool raise_pending(Coroutine& self) noexcept;

// Has `exception` (borrowed) raised in `target` where it waits, or will wait
// next. THREAD: any with the GIL. SWITCHES: never.
[[nodiscard]] bool throw_into(CoroutineObject* target, PyObject* exception) noexcept;

// Ends the wait of `target`, or its next one, so that it deals with what was thrown
// into it, and waits again if there is nothing. THREAD: any with the GIL.
// SWITCHES: never.
void interrupt(CoroutineObject* target) noexcept;

// Takes back an exception thrown into `target` that was not raised yet. Whether
// there was one.
bool withdraw(CoroutineObject* target, PyObject* exception) noexcept;

// For the scheduler's hook: the function's slot has been made fresh again, and is
// about to serve another one. Whoever waits for the end is told.
void detach(Coroutine& slot) noexcept;

// Throws CoroutineExit into `target`, unless it has finished.
[[nodiscard]] bool kill(CoroutineObject* target) noexcept;

// How many coroutines that _thread started are alive.
[[nodiscard]] long thread_count() noexcept;

// Set while no thread that is not a daemon is alive.
[[nodiscard]] Event& no_thread_to_join() noexcept;

// Whether `ident` was given to a coroutine, now or earlier, of any OS thread.
[[nodiscard]] bool is_coroutine_ident(unsigned long ident) noexcept;

// Whether a thread with this ident, which was alive in `generation`, has not been left behind
// by a fork since.
[[nodiscard]] bool has_survived_forks(unsigned long ident, std::uint32_t generation) noexcept;

// The ident of the running coroutine.
[[nodiscard]] unsigned long current_ident() noexcept;

inline CoroutineObject* cast(PyObject* object) noexcept {
  return reinterpret_cast<CoroutineObject*>(object);
}
inline PyObject* cast(CoroutineObject* object) noexcept {
  return reinterpret_cast<PyObject*>(object);
}
[[nodiscard]] bool raise_or_throw(CoroutineObject* self, PyObject* exception) noexcept;
// 1 for the first coroutine, and so on.
[[nodiscard]] unsigned long ordinal_of(unsigned long ident) noexcept;
void watch_forks_of_coroutines() noexcept;
// Releases a _thread.lock that the end of its thread releases, up to 3.12; monkey has its own.
extern void (*release_lock_at_end)(PyObject* lock) noexcept;

}  // namespace coev::python
