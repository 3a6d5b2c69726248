// The extension module coev._coev: puts the parts together.

#include <Python.h>

#include "core/offload.h"
#include "core/scheduler.h"
#include "core/time.h"
#include "python/blocking.h"
#include "python/capsule.h"
#include "python/condition_methods.h"
#include "python/coroutine_type.h"
#include "python/descriptor_io.h"
#include "python/event_methods.h"
#include "python/file_io.h"
#include "python/file_locks.h"
#include "python/import_lock.h"
#include "python/interpreters.h"
#include "python/introspect.h"
#include "python/line_input.h"
#include "python/lock_types.h"
#include "python/native_locks.h"
#include "python/preemption.h"
#include "python/processes.h"
#include "python/queue_methods.h"
#include "python/queue_types.h"
#include "python/ref.h"
#include "python/select_methods.h"
#include "python/semaphores.h"
#include "python/signal_masks.h"
#include "python/signal_waiting.h"
#include "python/signals.h"
#include "python/socket_class.h"
#include "python/socket_methods.h"
#include "python/sqlite_methods.h"
#include "python/ssl_class.h"
#include "python/ssl_methods.h"
#include "python/stream_type.h"
#include "python/switching.h"
#include "python/thread_methods.h"
#include "python/thread_module.h"
#include "python/thread_state.h"
#include "python/waiting.h"

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
    const Status status = wait([&] { return at(i)->finished.wait(deadline); });
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

// What import coev.monkey changes, in this order.
// clang-format off
constexpr bool (*kParts[])() noexcept = {
    native_locks::install,
    thread_module::install,
    socket_methods::install,
    ssl_methods::install,
    select_methods::install,
    processes::install,
    file_locks::install,
    import_lock::install,
    signal_waiting::install,
    signal_masks::install,
    semaphores::install,
    descriptor_io::install,
    file_io::install,
    line_input::install,
    interpreters::install,
    sqlite_methods::install,
    preemption::install,
};
// clang-format on
// clang-format on

// Makes threads mean coroutines. Once; further calls do nothing.
PyObject* function_patch(PyObject*, PyObject*) {
  for (const auto install : kParts) {
    if (!install()) return nullptr;
  }
  Py_RETURN_NONE;
}

// The part of it that asyncio needs.
PyObject* function_patch_select(PyObject*, PyObject*) {
  if (!select_methods::install()) return nullptr;
  Py_RETURN_NONE;
}

PyObject* function_virtual_time(PyObject*, PyObject* on) {
  const int enable = PyObject_IsTrue(on);
  if (enable < 0) return nullptr;
  virtual_time::enable(enable != 0);
  Py_RETURN_NONE;
}

PyObject* function_now(PyObject*, PyObject*) {
  return PyFloat_FromDouble(static_cast<double>(now_ns()) * 1e-9);
}

PyObject* function_make_thread_handle(PyObject*, PyObject* ident) {
  const unsigned long number = PyLong_AsUnsignedLong(ident);
  if (number == static_cast<unsigned long>(-1) && PyErr_Occurred()) return nullptr;
  return thread_module::make_running_handle(number);
}

PyObject* function_watch_release(PyObject*, PyObject* lock) {
  if (!native_locks::watch_release(lock)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* function_in_main_interpreter(PyObject*, PyObject*) {
  return PyBool_FromLong(PyInterpreterState_Get() == PyInterpreterState_Main());
}

PyObject* function_on_main_os_thread(PyObject*, PyObject*) {
  return PyBool_FromLong(thread_state::on_main_os_thread());
}

PyObject* function_swaps_by_gil(PyObject*, PyObject*) {
  return PyBool_FromLong(thread_state::swaps_by_gil());
}

PyMethodDef module_functions[] = {
    {"_shut_down", function_shut_down, METH_O, nullptr},
    {"_patch", function_patch, METH_NOARGS, nullptr},
    {"_patch_select", function_patch_select, METH_NOARGS, nullptr},
    {"_virtual_time", function_virtual_time, METH_O,
     "For tests: the clock stands still, and moves to the next deadline when all wait."},
    {"_now", function_now, METH_NOARGS, "Seconds of coev's clock, real or virtual."},
    {"_make_thread_handle", function_make_thread_handle, METH_O, nullptr},
    {"_watch_release", function_watch_release, METH_O, nullptr},
    {"_in_main_interpreter", function_in_main_interpreter, METH_NOARGS, nullptr},
    {"_on_main_os_thread", function_on_main_os_thread, METH_NOARGS, nullptr},
    {"_swaps_by_gil", function_swaps_by_gil, METH_NOARGS,
     "Whether a switch on this OS thread gives up the GIL and takes it again."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "coev._coev",
                          nullptr,
                          -1,
                          module_functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

bool fill(PyObject* module) noexcept {
  Scheduler::install_hooks(kHooks);
  thread_state::ensure_scheduler();
  return PyModule_AddFunctions(module, switching_functions) == 0 &&
         PyModule_AddFunctions(module, waiting_functions) == 0 &&
         PyModule_AddFunctions(module, event_functions) == 0 &&
         PyModule_AddFunctions(module, thread_functions) == 0 &&
         PyModule_AddFunctions(module, condition_functions) == 0 &&
         PyModule_AddFunctions(module, socket_class_functions) == 0 &&
         PyModule_AddFunctions(module, ssl_class_functions) == 0 && add_coroutine_type(module) &&
         add_timeout_type(module) && add_lock_types(module) && add_queue_types(module) &&
         add_queue_methods(module) && add_stream_type(module) &&
         thread_module::add_handle_type(module) && add_introspection(module) &&
         add_capsule(module) && signals::install();
}

}  // namespace
}  // namespace coev::python

PyMODINIT_FUNC PyInit__coev() {  // NOLINT(bugprone-reserved-identifier): CPython's name
  using namespace coev::python;
  if (!thread_state::initialize()) return nullptr;
  Ref module = Ref::steal(PyModule_Create(&definition));
  if (!module || !fill(module.get())) return nullptr;
  return module.release();
}
