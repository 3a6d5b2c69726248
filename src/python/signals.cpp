#include "python/signals.h"

#include <signal.h>

#include <array>
#include <atomic>

#include "python/blocking.h"
#include "python/coroutine_type.h"
#include "python/ref.h"
#include "python/retarget.h"
#include "python/thread_state.h"

namespace coev::python::signals {
namespace {

constexpr int kSignals = 65;  // 1 to 64, as Linux counts them

std::array<void (*)(int), kSignals> g_next_handler{};  // CPython's, in C
PyTypeObject* g_relay_type = nullptr;
PyObject* g_due = nullptr;  // list of (handler, signum): to run on the main coroutine
std::uint32_t g_due_generation = 0;
Original g_signal;
Original g_getsignal;
Original g_set_wakeup_fd;
Original g_interrupt_main;

void handle_signal(int number) {
  const int saved = errno;
  g_next_handler[static_cast<std::size_t>(number)](number);
  note();
  errno = saved;
}

// Puts ours behind CPython's, if that is what the signal has now.
void chain(int number) noexcept {
  struct sigaction action;
  if (sigaction(number, nullptr, &action) != 0 || (action.sa_flags & SA_SIGINFO) != 0) return;
  if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN ||
      action.sa_handler == handle_signal) {
    return;
  }
  g_next_handler[static_cast<std::size_t>(number)] = action.sa_handler;
  action.sa_handler = handle_signal;
  sigaction(number, &action, nullptr);
}

// --- relays: handlers in Python that run where they should -----------------------------

struct RelayObject {
  PyObject_HEAD PyObject* handler;
};

RelayObject* as_relay(PyObject* object) noexcept { return reinterpret_cast<RelayObject*>(object); }

bool on_main_coroutine() noexcept {
  Scheduler* scheduler = thread_state::main_scheduler();
  return scheduler == nullptr || &scheduler->current() == &scheduler->main();
}

// g_due; what became due before a fork is the parent's to run.
PyObject* due() noexcept {
  const std::uint32_t generation = fork_generation::current.load(std::memory_order_relaxed);
  if (g_due_generation != generation) {
    g_due_generation = generation;
    if (PyList_SetSlice(g_due, 0, PyList_GET_SIZE(g_due), nullptr) < 0) PyErr_Clear();
  }
  return g_due;
}
bool anything_due() noexcept { return PyList_GET_SIZE(due()) > 0; }

bool run_due() noexcept {
  while (anything_due()) {
    const Ref entry = Ref::borrow(PyList_GET_ITEM(g_due, 0));
    if (PyList_SetSlice(g_due, 0, 1, nullptr) < 0) return false;
    PyObject* handler = PyTuple_GET_ITEM(entry.get(), 0);
    const Ref frame =
        Ref::steal(reinterpret_cast<PyObject*>(PyThreadState_GetFrame(PyThreadState_Get())));
    const Ref result = Ref::steal(PyObject_CallFunctionObjArgs(
        handler, PyTuple_GET_ITEM(entry.get(), 1), frame ? frame.get() : Py_None, nullptr));
    if (!result) return false;
  }
  return true;
}

// Runs what is due while the main coroutine computes: its wait may have been over
// already, so there was nothing to interrupt.
int run_due_between_instructions(void*) {
  const bool fine = !on_main_coroutine() || run_due();
  if (anything_due()) thread_state::call_on_main(run_due_between_instructions);
  return fine ? 0 : -1;
}

PyObject* relay_call(PyObject* self, PyObject* arguments, PyObject* keywords) {
  PyObject* handler = as_relay(self)->handler;
  if (on_main_coroutine() || is_closed()) return PyObject_Call(handler, arguments, keywords);
  const Ref entry = Ref::steal(PyTuple_Pack(2, handler, PyTuple_GET_ITEM(arguments, 0)));
  if (!entry || PyList_Append(due(), entry.get()) < 0) return nullptr;
  Scheduler& scheduler = *thread_state::main_scheduler();
  scheduler.interrupt(scheduler.main());
  thread_state::call_on_main(run_due_between_instructions);
  // The handler should not have to wait until this coroutine blocks. An exception
  // thrown into this one is for its next wait, not for this place.
  const InterruptShield shield(scheduler.current());
  static_cast<void>(scheduler.yield());
  Py_RETURN_NONE;
}

PyObject* make_relay(PyObject* handler) noexcept {
  auto* relay = PyObject_New(RelayObject, g_relay_type);
  if (relay != nullptr) relay->handler = Py_NewRef(handler);
  return reinterpret_cast<PyObject*>(relay);
}

void relay_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  Py_DECREF(as_relay(object)->handler);
  PyObject_Free(object);
  Py_DECREF(type);
}

PyType_Slot relay_slots[] = {{Py_tp_call, reinterpret_cast<void*>(relay_call)},
                             {Py_tp_dealloc, reinterpret_cast<void*>(relay_dealloc)},
                             {0, nullptr}};
PyType_Spec relay_spec = {"coev._SignalRelay", sizeof(RelayObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, relay_slots};

// What the user gave, where CPython has a relay. Steals and returns a reference.
PyObject* unwrap(PyObject* handler) noexcept {
  if (handler == nullptr || !Py_IS_TYPE(handler, g_relay_type)) return handler;
  PyObject* inner = Py_NewRef(as_relay(handler)->handler);
  Py_DECREF(handler);
  return inner;
}

// False with ValueError set: as a thread, no other coroutine may change how
// signals are handled.
bool check_on_main_coroutine(const char* function) noexcept {
  if (on_main_coroutine()) return true;
  PyErr_Format(PyExc_ValueError, "%s only works in main thread of the main interpreter", function);
  return false;
}

PyObject* replaced_set_wakeup_fd(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                 PyObject* keywords) {
  if (!check_on_main_coroutine("set_wakeup_fd")) return nullptr;
  return g_set_wakeup_fd(self, arguments, count, keywords);
}

PyObject* replaced_signal(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  if (!check_on_main_coroutine("signal")) return nullptr;
  if (count != 2 || keywords != nullptr || !PyCallable_Check(arguments[1])) {
    return unwrap(g_signal(self, arguments, count, keywords));
  }
  const Ref relay = Ref::steal(make_relay(arguments[1]));
  if (!relay) return nullptr;
  PyObject* relayed[] = {arguments[0], relay.get()};
  PyObject* previous = g_signal(self, relayed, 2);
  if (previous == nullptr) return nullptr;
  const long number = PyLong_AsLong(arguments[0]);
  if (number > 0 && number < kSignals) chain(static_cast<int>(number));
  return unwrap(previous);
}

PyObject* replaced_getsignal(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                             PyObject* keywords) {
  return unwrap(g_getsignal(self, arguments, count, keywords));
}

PyObject* replaced_interrupt_main(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                  PyObject* keywords) {
  PyObject* result = g_interrupt_main(self, arguments, count, keywords);
  if (result != nullptr) note();
  return result;
}

// Handlers set before us get a relay too.
bool adopt_handler(PyObject* module, int number) noexcept {
  const Ref boxed = Ref::steal(PyLong_FromLong(number));
  PyObject* argument = boxed.get();
  if (argument == nullptr) return false;
  const Ref handler = Ref::steal(g_getsignal(module, &argument, 1));
  if (!handler) {
    PyErr_Clear();  // a number that is no signal here
    return true;
  }
  if (!PyCallable_Check(handler.get())) return true;
  PyObject* arguments[] = {argument, handler.get()};
  const Ref previous = Ref::steal(replaced_signal(module, arguments, 2, nullptr));
  return static_cast<bool>(previous);
}

}  // namespace

void note() noexcept {
  thread_state::mark_signal_pending();
  Scheduler* scheduler = thread_state::main_scheduler();
  if (scheduler != nullptr) scheduler->wake_from_signal();
}

void signalled(Scheduler& scheduler) noexcept { scheduler.interrupt(scheduler.main()); }

bool run_pending() noexcept {
  if (!thread_state::on_main_os_thread()) return true;
  if (PyErr_CheckSignals() != 0) return false;
  if (!on_main_coroutine() || run_due()) return true;
  if (anything_due()) thread_state::call_on_main(run_due_between_instructions);
  return false;
}

bool install() noexcept {
  thread_state::ensure_scheduler();
  g_due = PyList_New(0);
  g_relay_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&relay_spec));
  const Ref module = Ref::steal(PyImport_ImportModule("_signal"));
  const Ref thread = Ref::steal(PyImport_ImportModule("_thread"));
  if (g_due == nullptr || g_relay_type == nullptr || !module || !thread) return false;
  if (!retarget<replaced_signal>(module.get(), "signal", &g_signal) ||
      !retarget<replaced_getsignal>(module.get(), "getsignal", &g_getsignal) ||
      !retarget<replaced_set_wakeup_fd>(module.get(), "set_wakeup_fd", &g_set_wakeup_fd) ||
      !retarget<replaced_interrupt_main>(thread.get(), "interrupt_main", &g_interrupt_main)) {
    return false;
  }
  for (int number = 1; number < kSignals; ++number) {
    if (!adopt_handler(module.get(), number)) return false;
  }
  return true;
}

}  // namespace coev::python::signals
