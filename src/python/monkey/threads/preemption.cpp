#include "python/monkey/threads/preemption.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/signals.h"
#include "python/waiting/timeouts.h"

namespace coev::python::preemption {
namespace {

constexpr std::int64_t kShortestNs = 1'000'000;  // the kernel's clock ticks no faster
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

Original g_set_switch_interval;
PyObject* g_handler = nullptr;  // give_way, as Python calls it
int g_signal = 0;
timer_t g_timer;
bool g_running = false;  // the timer exists
std::int64_t g_interval_ns = 0;
std::uint64_t g_switches_seen = 0;
std::uint64_t g_struck = 0;  // the id of whom strike() was called for; 0: nobody

// On the signal stack, anywhere in the program. SAFE: in a signal handler.
void tick(int) {
  const int saved = errno;
  const Scheduler* scheduler = thread_state::main_scheduler();
  if (scheduler != nullptr) {
    const std::uint64_t switches = scheduler->stats().switches;
    if (switches == g_switches_seen) {
      PyErr_SetInterruptEx(g_signal);
      thread_state::mark_signal_pending();
    }
    g_switches_seen = switches;
  }
  errno = saved;
}

// What CPython calls between two instructions of whoever runs.
PyObject* give_way(PyObject*, PyObject* const*, Py_ssize_t) {
  Scheduler* scheduler = Scheduler::find();
  if (scheduler == nullptr || is_closed()) Py_RETURN_NONE;
  Coroutine& self = scheduler->current();
  // A finalizer may run while the scheduler looks for somebody to run.
  if (self.state != CoroutineState::kRunning) Py_RETURN_NONE;
  if (g_struck != 0 && g_struck == self.id) {
    g_struck = 0;
    Scheduler::clear_interrupt(self);
    if (raise_pending(self)) return nullptr;
  }
  // An interrupt is for the coroutine's next wait, not for this place.
  const InterruptShield shield(self);
  static_cast<void>(scheduler->yield());
  Py_RETURN_NONE;
}

PyMethodDef give_way_definition = {
    "_give_way", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(give_way)),
    METH_FASTCALL, nullptr};

void set_timer() noexcept {
  itimerspec when{};
  when.it_interval.tv_sec = g_interval_ns / kNsPerSecond;
  when.it_interval.tv_nsec = g_interval_ns % kNsPerSecond;
  when.it_value = when.it_interval;
  if (g_running) timer_settime(g_timer, 0, &when, nullptr);
}

// Makes a timer that counts the CPU time of the calling OS thread. Where the kernel has none
// there is no preemption.
void make_timer() noexcept {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = g_signal;
  event._sigev_un._tid = gettid();
  g_running = timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &g_timer) == 0;
  set_timer();
}

// A handler that runs on a coroutine's stack would leave a page behind there.
void ensure_signal_stack() noexcept {
  stack_t current;
  if (sigaltstack(nullptr, &current) != 0 || (current.ss_flags & SS_DISABLE) == 0) return;
  static constexpr long kLeastBytes = 32L * 1024;
  const auto bytes = static_cast<std::size_t>(std::max(sysconf(_SC_SIGSTKSZ), kLeastBytes));
  static const std::unique_ptr<char[]> memory(new (std::nothrow) char[bytes]);
  if (memory == nullptr) return;
  const stack_t wanted{.ss_sp = memory.get(), .ss_flags = 0, .ss_size = bytes};
  sigaltstack(&wanted, nullptr);
}

// A child has its parent's handlers, but none of its timers.
void after_fork_in_child() noexcept {
  if (g_running) make_timer();
}

bool start() noexcept;

// Called when the program wants to use the signal that we took: we take another one.
bool move() noexcept {
  stop();
  return start();
}

bool start() noexcept {
  g_signal = signals::reserve(g_handler, move);
  if (g_signal <= 0) return g_signal == 0;  // none is free: no preemption
  struct sigaction action {};
  action.sa_handler = tick;
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  sigfillset(&action.sa_mask);
  sigaction(g_signal, &action, nullptr);
  make_timer();
  return true;
}

bool read_interval() noexcept {
  const Ref seconds = Ref::steal(PyObject_CallNoArgs(PySys_GetObject("getswitchinterval")));
  std::int64_t ns = 0;
  if (!seconds || !parse_seconds(seconds.get(), &ns)) return false;
  g_interval_ns = std::max(ns, kShortestNs);
  return true;
}

PyObject* replaced_set_switch_interval(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                       PyObject* keywords) {
  PyObject* result = g_set_switch_interval(self, arguments, count, keywords);
  if (result == nullptr) return nullptr;
  if (!read_interval()) {
    Py_DECREF(result);
    return nullptr;
  }
  set_timer();
  return result;
}

}  // namespace

void strike() noexcept {
  Scheduler* scheduler = Scheduler::find();
  if (scheduler == nullptr || scheduler != thread_state::main_scheduler() || g_signal <= 0) return;
  g_struck = scheduler->current().id;
  PyErr_SetInterruptEx(g_signal);
  thread_state::mark_signal_pending();
}

void stop() noexcept {
  if (g_running) timer_delete(g_timer);
  g_running = false;
}

bool install() noexcept {
  if (g_handler != nullptr) return true;
  g_handler = PyCFunction_New(&give_way_definition, nullptr);
  const Ref sys = Ref::steal(PyImport_ImportModule("sys"));
  if (g_handler == nullptr || !sys || !read_interval() ||
      !retarget<replaced_set_switch_interval>(sys.get(), "setswitchinterval",
                                              &g_set_switch_interval)) {
    return false;
  }
  ensure_signal_stack();
  pthread_atfork(nullptr, nullptr, after_fork_in_child);
  return start();
}

}  // namespace coev::python::preemption
