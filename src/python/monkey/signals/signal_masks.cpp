#include "python/monkey/signals/signal_masks.h"

#include <Python.h>
#include <signal.h>

#include <cerrno>
#include <new>

#include "core/local.h"
#include "core/scheduler.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"

namespace coev::python::signal_masks {
namespace {

constexpr int kSignals = 65;  // 1 to 64, as Linux counts them

Original g_original;
int g_key = -1;

// That of the current coroutine; at first what the OS thread has. nullptr without
// memory.
sigset_t* current_mask(Coroutine& self) noexcept {
  auto* mask = static_cast<sigset_t*>(self.locals.get(g_key));
  if (mask != nullptr) return mask;
  mask = new (std::nothrow) sigset_t;
  if (mask == nullptr) return nullptr;
  pthread_sigmask(SIG_SETMASK, nullptr, mask);
  if (self.locals.set(g_key, mask)) return mask;
  delete mask;
  return nullptr;
}

// As CPython reads a set. False with an exception set.
bool read_set(PyObject* signals, sigset_t* set) noexcept {
  const Ref all = Ref::steal(PySequence_Tuple(signals));
  if (!all) return false;
  sigemptyset(set);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(all.get()); ++i) {
    int overflow = 0;
    const long number = PyLong_AsLongAndOverflow(PyTuple_GET_ITEM(all.get(), i), &overflow);
    if (number == -1 && PyErr_Occurred() != nullptr) return false;
    if (number <= 0 || number >= kSignals) {
      PyErr_Format(PyExc_ValueError, "signal number %ld out of range [1; %i]", number,
                   kSignals - 1);
      return false;
    }
    sigaddset(set, static_cast<int>(number));
  }
  return true;
}

PyObject* to_python(const sigset_t& set) noexcept {
  Ref result = Ref::steal(PySet_New(nullptr));
  for (int number = 1; result && number < kSignals; ++number) {
    if (sigismember(&set, number) != 1) continue;
    const Ref boxed = Ref::steal(PyLong_FromLong(number));
    if (!boxed || PySet_Add(result.get(), boxed.get()) < 0) return nullptr;
  }
  return result.release();
}

bool change(sigset_t* mask, int how, const sigset_t& by) noexcept {
  switch (how) {
    case SIG_BLOCK:
      sigorset(mask, mask, &by);
      return true;
    case SIG_UNBLOCK:
      for (int number = 1; number < kSignals; ++number) {
        if (sigismember(&by, number) == 1) sigdelset(mask, number);
      }
      return true;
    case SIG_SETMASK:
      *mask = by;
      return true;
    default:
      errno = EINVAL;
      PyErr_SetFromErrno(PyExc_OSError);
      return false;
  }
}

PyObject* replaced_pthread_sigmask(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                   PyObject* keywords) {
  Scheduler* scheduler = Scheduler::find();
  const bool is_main = scheduler == nullptr || &scheduler->current() == &scheduler->main();
  if (is_main || count != 2 || keywords != nullptr || !PyLong_Check(arguments[0])) {
    return g_original(self, arguments, count, keywords);
  }
  int overflow = 0;
  const auto how = static_cast<int>(PyLong_AsLongAndOverflow(arguments[0], &overflow));
  sigset_t by;
  if (overflow != 0) return g_original(self, arguments, count);
  if (!read_set(arguments[1], &by)) return nullptr;
  sigset_t* mask = current_mask(scheduler->current());
  if (mask == nullptr) return PyErr_NoMemory();
  const sigset_t before = *mask;
  return change(mask, how, by) ? to_python(before) : nullptr;
}

}  // namespace

bool install() noexcept {
  if (g_original) return true;
  g_key = create_local_key([](void* mask) { delete static_cast<sigset_t*>(mask); });
  const Ref module = Ref::steal(PyImport_ImportModule("_signal"));
  return module && retarget<replaced_pthread_sigmask>(module.get(), "pthread_sigmask", &g_original);
}

}  // namespace coev::python::signal_masks
