#include "python/waiting/signals.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "python/base/current_state.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"

namespace coev::python::signals {
namespace {

constexpr int kSignals = 65;  // 1 to 64, as Linux counts them

std::array<void (*)(int), kSignals> g_next_handler{};  // CPython's, in C
PyTypeObject* g_relay_type = nullptr;
PyObject* g_due = nullptr;  // list of (handler, signum): to run on the main coroutine
std::uint32_t g_due_generation = 0;
bool g_running_due = false;  // a handler that was due runs, on the main coroutine
bool g_newly_due = false;    // something became due since the last of these began
Original g_signal;
Original g_getsignal;
Original g_set_wakeup_fd;
Original g_interrupt_main;
std::atomic<std::uint64_t> g_handled{0};
WaitQueue g_pausing;                     // coroutines of the main OS thread
int g_reserved = 0;                      // the signal that is ours
PyObject* g_reserved_handler = nullptr;  // borrowed
bool (*g_reserved_lost)() noexcept = nullptr;

// --- the wake-up fd: CPython never knows of it ------------------------------------------
//
// It would write a byte for our own signal too.

struct WakeupFd {
  std::atomic<int> fd{-1};
  bool is_socket = false;
  bool warns_when_full = true;
};
WakeupFd g_wakeup;

// As CPython reports it.
int report_wakeup_error(void* error) {
  PyObject* pending = PyErr_Occurred() != nullptr ? thread_state::take_exception() : nullptr;
  errno = static_cast<int>(reinterpret_cast<std::intptr_t>(error));
  PyErr_SetFromErrno(PyExc_OSError);
  PySys_WriteStderr("Exception ignored when trying to %s to the signal wakeup fd:\n",
                    g_wakeup.is_socket ? "send" : "write");
  PyErr_WriteUnraisable(nullptr);
  if (pending != nullptr) {
    thread_state::set_exception(pending);
    Py_DECREF(pending);
  }
  return 0;
}

void write_wakeup(int number) noexcept {
  const int fd = g_wakeup.fd.load(std::memory_order_relaxed);
  if (fd < 0) return;
  const auto byte = static_cast<unsigned char>(number);
  const ssize_t written =
      g_wakeup.is_socket ? send(fd, &byte, 1, 0) : TEMP_FAILURE_RETRY(write(fd, &byte, 1));
  if (written >= 0 || (errno == EAGAIN && !g_wakeup.warns_when_full)) return;
  Py_AddPendingCall(report_wakeup_error, reinterpret_cast<void*>(std::intptr_t{errno}));
}

// Takes the fd that CPython was given. The one before; -2 with an exception set.
int take_wakeup_fd(PyObject* module) noexcept {
  const Ref none = Ref::steal(PyLong_FromLong(-1));
  PyObject* argument = none.get();
  const Ref given = Ref::steal(none ? g_set_wakeup_fd(module, &argument, 1) : nullptr);
  if (!given) return -2;
  const int fd = static_cast<int>(PyLong_AsLong(given.get()));
  struct stat status {};
  g_wakeup.is_socket = fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
  return g_wakeup.fd.exchange(fd);
}

void handle_signal(int number) {
  const int saved = errno;
  g_next_handler[static_cast<std::size_t>(number)](number);
  g_handled.fetch_add(1);
  note();
  write_wakeup(number);
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
    g_running_due = g_newly_due = false;
    if (PyList_SetSlice(g_due, 0, PyList_GET_SIZE(g_due), nullptr) < 0) PyErr_Clear();
  }
  return g_due;
}
bool anything_due() noexcept { return PyList_GET_SIZE(due()) > 0; }
// Only what comes later than a handler interrupts it, as everywhere in CPython.
bool may_run_due() noexcept { return anything_due() && (!g_running_due || g_newly_due); }

// One after the other in their order.
bool run_due() noexcept {
  if (!may_run_due()) return true;
  const bool outer = std::exchange(g_running_due, true);
  Ref result = Ref::borrow(Py_None);
  while (result && anything_due()) {
    g_newly_due = false;
    const Ref entry = Ref::borrow(PyList_GET_ITEM(g_due, 0));
    if (PyList_SetSlice(g_due, 0, 1, nullptr) < 0) break;
    const Ref frame =
        Ref::steal(reinterpret_cast<PyObject*>(PyThreadState_GetFrame(current_state::get())));
    result = Ref::steal(PyObject_CallFunctionObjArgs(PyTuple_GET_ITEM(entry.get(), 0),
                                                     PyTuple_GET_ITEM(entry.get(), 1),
                                                     frame ? frame.get() : Py_None, nullptr));
  }
  g_running_due = outer;
  return PyErr_Occurred() == nullptr;
}

// Runs what is due while the main coroutine computes: its wait may have been over
// already, so there was nothing to interrupt.
int run_due_between_instructions(void*) {
  const bool fine = !on_main_coroutine() || run_due();
  if (may_run_due()) thread_state::call_on_main(run_due_between_instructions);
  return fine ? 0 : -1;
}

// On the main coroutine. What an exception leaves is run soon.
bool run_due_now() noexcept { return run_due_between_instructions(nullptr) == 0; }

PyObject* relay_call(PyObject* self, PyObject* arguments, PyObject* keywords) {
  PyObject* handler = as_relay(self)->handler;
  if (on_main_coroutine() || thread_state::finalizing())
    return PyObject_Call(handler, arguments, keywords);
  const Ref entry = Ref::steal(PyTuple_Pack(2, handler, PyTuple_GET_ITEM(arguments, 0)));
  if (!entry || PyList_Append(due(), entry.get()) < 0) return nullptr;
  g_newly_due = true;
  Scheduler& scheduler = *thread_state::main_scheduler();
  scheduler.interrupt(scheduler.main());
  thread_state::call_on_main(run_due_between_instructions);
  // The handler should not have to wait until this coroutine blocks. CPython is in
  // the middle of what is due: if there is one, our own signal gives way at the end
  // of that.
  if (g_reserved > 0) {
    PyErr_SetInterruptEx(g_reserved);
    thread_state::mark_signal_pending();
    Py_RETURN_NONE;
  }
  // An exception thrown into this one is for its next wait, not for this place.
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

// What the user gave, where CPython has a relay or our own handler. Steals and
// returns a reference.
PyObject* unwrap(PyObject* handler) noexcept {
  if (handler != nullptr && handler == g_reserved_handler) {
    Py_DECREF(handler);
    return PyLong_FromLong(0);  // what signal.SIG_DFL is to the module in C
  }
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

bool is_handled(int number) noexcept {
  struct sigaction action {};
  return sigaction(number, nullptr, &action) == 0 && action.sa_handler == handle_signal;
}

bool is_unused(int number) noexcept {
  struct sigaction action {};
  return sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

bool is_reserved(PyObject* number) noexcept {
  if (g_reserved == 0 || !PyLong_Check(number)) return false;
  int overflow = 0;
  return PyLong_AsLongAndOverflow(number, &overflow) == g_reserved && overflow == 0;
}

PyObject* replaced_set_wakeup_fd(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                 PyObject* keywords) {
  if (!check_on_main_coroutine("set_wakeup_fd")) return nullptr;
  // The original checks the arguments, and the fd.
  const Ref ignored = Ref::steal(g_set_wakeup_fd(self, arguments, count, keywords));
  if (!ignored) return nullptr;
  g_wakeup.warns_when_full = keywords == nullptr || PyTuple_GET_SIZE(keywords) == 0 ||
                             PyObject_IsTrue(arguments[count]) == 1;
  const int previous = take_wakeup_fd(self);
  return previous == -2 ? nullptr : PyLong_FromLong(previous);
}

PyObject* replaced_signal(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  if (!check_on_main_coroutine("signal")) return nullptr;
  if (count == 2 && is_reserved(arguments[0]) && !g_reserved_lost()) return nullptr;
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
  if (result == nullptr) return nullptr;
  note();
  const long number = count == 0 ? SIGINT : PyLong_AsLong(arguments[0]);
  if (is_handled(static_cast<int>(number))) write_wakeup(static_cast<int>(number));
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

int reserve(PyObject* handler, bool (*lost)() noexcept) noexcept {
  const Ref module = Ref::steal(PyImport_ImportModule("_signal"));
  if (!module) return -1;
  const int previous = std::exchange(g_reserved, 0);
  g_reserved_lost = lost;
  g_reserved_handler = handler;
  for (int number = SIGRTMAX; number >= SIGRTMIN; --number) {
    if (number == previous || !is_unused(number)) continue;
    const Ref boxed = Ref::steal(PyLong_FromLong(number));
    PyObject* arguments[] = {boxed.get(), handler};
    const Ref replaced = Ref::steal(boxed ? g_signal(module.get(), arguments, 2) : nullptr);
    if (!replaced) return -1;
    return g_reserved = number;
  }
  return 0;
}

void note() noexcept {
  thread_state::mark_signal_pending();
  Scheduler* scheduler = thread_state::main_scheduler();
  if (scheduler != nullptr) scheduler->wake_from_signal();
}

// The main coroutine is to run the handlers first, also where it waits for the
// next signal itself.
void signalled(Scheduler& scheduler) noexcept {
  scheduler.interrupt(scheduler.main());
  while (Coroutine* pausing = g_pausing.claim_first()) Scheduler::wake(*pausing);
}

std::uint64_t handled_count() noexcept { return g_handled.load(); }

Status wait_for_next(std::uint64_t seen) noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  while (handled_count() == seen) {
    const Status status = scheduler.park(g_pausing, Deadline::never());
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

int reserved() noexcept { return g_reserved; }

bool run_pending() noexcept {
  const bool is_main = thread_state::on_main_os_thread() && on_main_coroutine();
  // What became due elsewhere came before what CPython knows of.
  if (is_main && !run_due_now()) return false;
  // On any thread: newer versions also raise there what another thread has set.
  return PyErr_CheckSignals() == 0 && (!is_main || run_due_now());
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
  return take_wakeup_fd(module.get()) != -2;
}

}  // namespace coev::python::signals
