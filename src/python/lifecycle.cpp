#include "python/lifecycle.h"

#include <unistd.h>

#include "core/offload.h"
#include "core/scheduler.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/threads/preemption.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/signals.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

void finished(Coroutine& slot) noexcept {
  thread_state::reset_current();
  detach(slot);
  thread_state::forget_locals();  // set by what went away with the coroutine
}

// The forking coroutine has returned in the child: like the thread it stood for
// it ends, and the process with it.
void orphan_main_finished() noexcept {
  const Ref sys = Ref::steal(PyImport_ImportModule("sys"));
  for (const char* name : {"stdout", "stderr"}) {
    const Ref stream = sys ? Ref::steal(PyObject_GetAttrString(sys.get(), name)) : Ref();
    if (stream && stream.get() != Py_None) {
      Ref::steal(PyObject_CallMethod(stream.get(), "flush", nullptr));
    }
    PyErr_Clear();
  }
  _exit(0);
}

constexpr Hooks kHooks{thread_state::slot_created, thread_state::switching,   finished,
                       thread_state::before_sleep, thread_state::after_sleep, signals::signalled,
                       orphan_main_finished};

// The live coroutines that coev.spawn() started, but for the current one. New
// reference to a list, or nothing with an exception set.
Ref spawned_coroutines(Scheduler& scheduler) noexcept {
  Ref found = Ref::steal(PyList_New(0));
  for (Coroutine* slot = scheduler.all_slots(); found && slot != nullptr; slot = slot->all_next) {
    auto* object = static_cast<CoroutineObject*>(slot->owner);
    if (object == nullptr || object->is_thread || slot == &scheduler.current()) continue;
    if (PyList_Append(found.get(), reinterpret_cast<PyObject*>(object)) < 0) return {};
  }
  return found;
}

// Kills all of `coroutines` and waits until they have ended: each is told once, for
// what it does at its end may wait too. False with an exception set.
bool kill_and_join(PyObject* coroutines, Deadline deadline) noexcept {
  const auto at = [&](Py_ssize_t i) {
    return reinterpret_cast<CoroutineObject*>(PyList_GET_ITEM(coroutines, i));
  };
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(coroutines); ++i) {
    if (!kill(at(i))) return false;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(coroutines); ++i) {
    const Status status = wait([&] { return at(i)->wait_for_end(deadline); });
    if (status == Status::kInterrupted) return false;
  }
  return true;
}

// Kills every coroutine that coev.spawn() started, also those started meanwhile,
// and lets all run until those have ended, at most `seconds`. Threads that are
// daemons stay where they are, as daemon threads do; handlers of atexit that were
// registered before us may still use threads.
PyObject* function_shut_down(PyObject*, PyObject* seconds) {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(seconds, &deadline)) return nullptr;
  if (is_closed()) Py_RETURN_NONE;
  Scheduler& scheduler = thread_state::scheduler();
  do {
    const Ref coroutines = spawned_coroutines(scheduler);
    if (coroutines && PyList_GET_SIZE(coroutines.get()) == 0) break;
    if (!coroutines || !kill_and_join(coroutines.get(), deadline)) {
      PyErr_WriteUnraisable(nullptr);  // a second Ctrl-C: enough waited
      break;
    }
  } while (!deadline.passed());
  preemption::stop();
  Py_BEGIN_ALLOW_THREADS;
  offload::shut_down();
  Py_END_ALLOW_THREADS;
  Py_RETURN_NONE;
}

}  // namespace

void install_hooks() noexcept { Scheduler::install_hooks(kHooks); }

PyMethodDef lifecycle_functions[] = {{"_shut_down", function_shut_down, METH_O, nullptr},
                                     {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
