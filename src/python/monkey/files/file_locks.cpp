#include "python/monkey/files/file_locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "python/base/module_hook.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/waiting/backoff.h"
#include "python/waiting/blocking.h"

namespace coev::python::file_locks {
namespace {

struct Originals {
  Original flock, lockf, fcntl, os_lockf;
};
Originals g_original;

// The operation that does not block where `operation` would; the same if it does
// not block anyway.
using WithoutWaiting = int (*)(int operation);

int flock_without_waiting(int operation) {
  const bool locks = (operation & (LOCK_SH | LOCK_EX)) != 0;
  return locks ? operation | LOCK_NB : operation;
}

int fcntl_without_waiting(int operation) {
  if (operation == F_SETLKW) return F_SETLK;
  return operation == F_OFD_SETLKW ? F_OFD_SETLK : operation;
}

int os_lockf_without_waiting(int operation) { return operation == F_LOCK ? F_TLOCK : operation; }

bool is_locked_elsewhere() noexcept { return PyErr_ExceptionMatches(PyExc_BlockingIOError) != 0; }

// All four take a file and an operation, and up to three arguments more.
template <Original Originals::*original, WithoutWaiting without_waiting>
PyObject* lock_file(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  constexpr Py_ssize_t kMostArguments = 5;
  const Original& call = g_original.*original;
  if (count < 2 || count > kMostArguments || keywords != nullptr || !PyLong_Check(arguments[1])) {
    return call(self, arguments, count, keywords);
  }
  int overflow = 0;
  const auto operation = static_cast<int>(PyLong_AsLongAndOverflow(arguments[1], &overflow));
  const int attempt = without_waiting(operation);
  if (overflow != 0 || attempt == operation) return call(self, arguments, count);
  if (!can_block()) {
    PyErr_Clear();
    return call(self, arguments, count);
  }
  const Ref boxed = Ref::steal(PyLong_FromLong(attempt));
  if (!boxed) return nullptr;
  PyObject* values[kMostArguments] = {};
  for (Py_ssize_t i = 0; i < count; ++i) values[i] = i == 1 ? boxed.get() : arguments[i];
  Backoff backoff;
  for (;;) {
    PyObject* result = call(self, values, count);
    if (result != nullptr || !is_locked_elsewhere()) return result;
    PyErr_Clear();
    const Status status = backoff.pause();
    if (status != Status::kOk) return raise(status);
  }
}

bool install_into(PyObject* module) noexcept {
  Originals& o = g_original;
  if (o.flock) return true;  // another copy of the module has the same table of functions
  return retarget<lock_file<&Originals::flock, flock_without_waiting>>(module, "flock", &o.flock) &&
         retarget<lock_file<&Originals::lockf, flock_without_waiting>>(module, "lockf", &o.lockf) &&
         retarget<lock_file<&Originals::fcntl, fcntl_without_waiting>>(module, "fcntl", &o.fcntl);
}

}  // namespace

bool install() noexcept {
  if (g_original.os_lockf) return true;
  const Ref posix = Ref::steal(PyImport_ImportModule("posix"));
  return posix &&
         retarget<lock_file<&Originals::os_lockf, os_lockf_without_waiting>>(
             posix.get(), "lockf", &g_original.os_lockf) &&
         when_loaded("fcntl", install_into);
}

}  // namespace coev::python::file_locks
