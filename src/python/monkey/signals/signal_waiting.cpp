#include "python/monkey/signals/signal_waiting.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/backoff.h"
#include "python/waiting/blocking.h"
#include "python/waiting/private_fd.h"
#include "python/waiting/signals.h"
#include "python/waiting/timeouts.h"

namespace coev::python::signal_waiting {
namespace {

constexpr int kSignals = 65;  // 1 to 64, as Linux counts them

struct Originals {
  Original pause, sigwait, sigwaitinfo, sigtimedwait;
};
Originals g_original;

// --- signals that are not blocked, but handled
// -----------------------------------------------------
//
// A caught one is sent again to the OS thread of those who wait, where it stays
// blocked, and so pending, until one of them has looked.

struct Caught {
  struct sigaction before {};
  std::size_t waiters = 0;
  std::atomic<bool> held{false};  // our handler has left it blocked
};
std::array<Caught, kSignals> g_caught;
pid_t g_home = 0;  // the OS thread of who waits: the main one

void hold(int number, siginfo_t* info, void* context) {
  const int saved = errno;
  if (gettid() == g_home) {
    sigaddset(&static_cast<ucontext_t*>(context)->uc_sigmask, number);
    g_caught[static_cast<std::size_t>(number)].held.store(true);
  }
  syscall(SYS_rt_tgsigqueueinfo, getpid(), g_home, number, info);
  errno = saved;
}

// What has no handler the kernel does not keep for anybody either.
bool has_handler(int number) noexcept {
  struct sigaction action {};
  return sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_DFL &&
         action.sa_handler != SIG_IGN;
}

bool is_holding(int number) noexcept {
  struct sigaction action {};
  return sigaction(number, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) != 0 &&
         action.sa_sigaction == hold;
}

void begin_holding(int number) noexcept {
  struct sigaction action {};
  action.sa_sigaction = hold;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigfillset(&action.sa_mask);
  sigaction(number, &action, &g_caught[static_cast<std::size_t>(number)].before);
}

void unblock(int number) noexcept {
  if (!g_caught[static_cast<std::size_t>(number)].held.exchange(false)) return;
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
}

// The program may have set another handler meanwhile, which then stays.
void end_holding(int number) noexcept {
  if (is_holding(number)) {
    sigaction(number, &g_caught[static_cast<std::size_t>(number)].before, nullptr);
  }
  unblock(number);
}

void after_fork_in_child() noexcept {
  for (int number = 1; number < kSignals; ++number) {
    Caught& caught = g_caught[static_cast<std::size_t>(number)];
    if (caught.waiters > 0) end_holding(number);
    caught.waiters = 0;
  }
  g_home = gettid();
}

// While it lives, signals of the set that are not blocked are kept for us.
class Catching {
 public:
  explicit Catching(const sigset_t& set) noexcept {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    sigemptyset(&caught_);
    for (int number = 1; number < kSignals; ++number) {
      Caught& caught = g_caught[static_cast<std::size_t>(number)];
      const bool reachable = sigismember(&blocked, number) == 0 || caught.waiters > 0;
      if (sigismember(&set, number) != 1 || !reachable || !has_handler(number)) continue;
      sigaddset(&caught_, number);
      if (caught.waiters++ == 0) begin_holding(number);
    }
  }
  ~Catching() {
    for (int number = 1; number < kSignals; ++number) {
      Caught& caught = g_caught[static_cast<std::size_t>(number)];
      if (sigismember(&caught_, number) == 1 && --caught.waiters == 0) end_holding(number);
    }
  }
  Catching(const Catching&) = delete;
  Catching& operator=(const Catching&) = delete;

  // After a look: what is still pending is caught again.
  void let_in() const noexcept {
    for (int number = 1; number < kSignals; ++number) {
      if (sigismember(&caught_, number) == 1) unblock(number);
    }
  }

 private:
  sigset_t caught_;
};

// --- sigwait() and its relatives ------------------------------------------------------

// The signals given, as a tuple, but for the one that is coev's own. New reference
// or nothing with an exception set.
Ref to_tuple(PyObject* given) noexcept {
  const Ref all = Ref::steal(PySequence_List(given));
  const Ref reserved = Ref::steal(PyLong_FromLong(signals::reserved()));
  if (!all || !reserved) return {};
  for (Py_ssize_t i = PyList_GET_SIZE(all.get()); i-- > 0;) {
    const int same = PyObject_RichCompareBool(PyList_GET_ITEM(all.get(), i), reserved.get(), Py_EQ);
    if (same < 0 || (same == 1 && PyList_SetSlice(all.get(), i, i + 1, nullptr) < 0)) return {};
  }
  return Ref::steal(PyList_AsTuple(all.get()));
}

// As the original, for a set that it has accepted.
sigset_t to_set(PyObject* signals) noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(signals); ++i) {
    sigaddset(&set, static_cast<int>(PyLong_AsLong(PyTuple_GET_ITEM(signals, i))));
  }
  return set;
}

// What is pending of `signals`, a tuple: a struct_siginfo, taken, or None. New
// reference or nullptr.
PyObject* take_pending(PyObject* self, PyObject* signals) noexcept {
  const Ref zero = Ref::steal(PyLong_FromLong(0));
  PyObject* arguments[] = {signals, zero.get()};
  return zero ? g_original.sigtimedwait(self, arguments, 2) : nullptr;
}

// Waits for one of `signals`: what sigtimedwait() returns for it, or None at `deadline`.
PyObject* take(PyObject* self, PyObject* signals, Deadline deadline) noexcept {
  Ref info = Ref::steal(take_pending(self, signals));
  if (!info || info.get() != Py_None) return info.release();
  const sigset_t set = to_set(signals);
  const Catching catching(set);
  Backoff backoff;
  while (!deadline.passed()) {
    PrivateFd pending(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    const Status status = pending ? pending.wait_readable(deadline) : backoff.pause();
    if (status != Status::kOk && status != Status::kTimedOut) return raise(status);
    info = Ref::steal(take_pending(self, signals));
    catching.let_in();
    if (!info || info.get() != Py_None) return info.release();
  }
  Py_RETURN_NONE;
}

// Whether we wait; else the original blocks, or says what is wrong.
bool is_ours(Py_ssize_t count, Py_ssize_t wanted, PyObject* keywords) noexcept {
  return count == wanted && keywords == nullptr && thread_state::on_main_os_thread() && may_block();
}

template <Original Originals::*original>
PyObject* wait_for_set(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) noexcept {
  if (!is_ours(count, 1, keywords)) {
    return (g_original.*original)(self, arguments, count, keywords);
  }
  const Ref signals = to_tuple(arguments[0]);
  return signals ? take(self, signals.get(), Deadline::never()) : nullptr;
}

PyObject* replaced_sigwaitinfo(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                               PyObject* keywords) {
  return wait_for_set<&Originals::sigwaitinfo>(self, arguments, count, keywords);
}

PyObject* replaced_sigwait(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  const Ref info = Ref::steal(wait_for_set<&Originals::sigwait>(self, arguments, count, keywords));
  if (!info || PyLong_Check(info.get())) return Py_XNewRef(info.get());
  return PyObject_GetAttrString(info.get(), "si_signo");
}

PyObject* replaced_sigtimedwait(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                PyObject* keywords) {
  std::int64_t ns = 0;
  if (!is_ours(count, 2, keywords) || !parse_seconds(arguments[1], &ns) || ns < 0) {
    PyErr_Clear();
    return g_original.sigtimedwait(self, arguments, count, keywords);
  }
  const Ref signals = to_tuple(arguments[0]);
  return signals ? take(self, signals.get(), Deadline::after(ns)) : nullptr;
}

// --- pause() ----------------------------------------------------------------------------

PyObject* replaced_pause(PyObject* self, PyObject* const*, Py_ssize_t count, PyObject* keywords) {
  if (!is_ours(count, 0, keywords)) return g_original.pause(self);
  thread_state::ensure_scheduler();
  const std::uint64_t seen = signals::handled_count();
  const Status status = wait([&] { return signals::wait_for_next(seen); });
  if (status != Status::kOk) return raise(status);
  if (!signals::run_pending()) return nullptr;
  Py_RETURN_NONE;
}

}  // namespace

bool install() noexcept {
  if (g_original.pause) return true;
  const Ref module = Ref::steal(PyImport_ImportModule("_signal"));
  g_home = gettid();
  pthread_atfork(nullptr, nullptr, after_fork_in_child);
  Originals& o = g_original;
  return module && retarget<replaced_pause>(module.get(), "pause", &o.pause) &&
         retarget<replaced_sigwait>(module.get(), "sigwait", &o.sigwait) &&
         retarget<replaced_sigwaitinfo>(module.get(), "sigwaitinfo", &o.sigwaitinfo) &&
         retarget<replaced_sigtimedwait>(module.get(), "sigtimedwait", &o.sigtimedwait);
}

}  // namespace coev::python::signal_waiting
