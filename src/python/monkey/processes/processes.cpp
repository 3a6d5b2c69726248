#include "python/monkey/processes/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "core/helper_thread.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/waiting/backoff.h"
#include "python/waiting/blocking.h"
#include "python/waiting/private_fd.h"

namespace coev::python::processes {
namespace {

struct Originals {
  Original wait, waitpid, wait3, wait4, waitid, system;
};
Originals g_original;

// Arguments that are not numbers are the original's to complain about.
bool read_int(PyObject* object, int* value) noexcept {
  int overflow = 0;
  const long wide = PyLong_AsLongAndOverflow(object, &overflow);
  if (PyErr_Occurred() != nullptr) PyErr_Clear();
  *value = static_cast<int>(wide);
  return overflow == 0 && wide == *value && PyIndex_Check(object);
}

// --- until a look is worth while ----------------------------------------------------------

// What waitid() is to wait for.
struct Selection {
  idtype_t type;
  id_t id;
  int events;
};

// From the first two arguments of waitpid(). False: the kernel may know these
// options, we do not.
bool select(int pid, int options, Selection* selection) noexcept {
  if ((options & ~(WUNTRACED | WCONTINUED)) != 0) return false;
  const int events = WEXITED | options;  // WUNTRACED is WSTOPPED
  if (pid > 0) {
    *selection = {P_PID, static_cast<id_t>(pid), events};
  } else if (pid == -1) {
    *selection = {P_ALL, 0, events};
  } else {
    *selection = {P_PGID, static_cast<id_t>(pid == 0 ? getpgrp() : -pid), events};
  }
  return true;
}

void wait_and_leave(void* selection) {
  const auto& wanted = *static_cast<const Selection*>(selection);
  siginfo_t ignored;
  waitid(wanted.type, wanted.id, &ignored, wanted.events | WNOWAIT);
}

// For whatever has no descriptor: any child, a group, stops. A thread waits in the
// kernel for the same selection, and takes nothing.
Status wait_on_thread(Selection selection) noexcept {
  sigset_t all;
  sigfillset(&all);
  HelperThread thread;
  if (thread.start(wait_and_leave, &selection, all) != Status::kOk) return Backoff().pause();
  return wait([&] { return thread.wait(Deadline::never()); });
}

// SWITCHES: always. ERRORS: kNoMemory, kInterrupted with an exception set.
Status wait_for_change(const Selection& selection) noexcept {
  if (selection.type == P_PID && selection.events == WEXITED) {
    PrivateFd process(static_cast<int>(syscall(SYS_pidfd_open, selection.id, 0)));
    if (process) return process.wait_readable();
  }
  return wait_on_thread(selection);
}

// With WNOHANG: None, or a tuple that begins with 0.
bool says_nothing(PyObject* result) noexcept {
  if (result == Py_None) return true;
  return PyTuple_CheckExact(result) && PyLong_AsLong(PyTuple_GET_ITEM(result, 0)) == 0;
}

template <typename Look>
PyObject* until_seen(const Selection& selection, Look look) noexcept {
  for (;;) {
    Ref result = Ref::steal(look());
    if (!result || !says_nothing(result.get())) return result.release();
    const Status status = wait_for_change(selection);
    if (status != Status::kOk) return raise(status);
  }
}

// --- the functions ------------------------------------------------------------------------

PyObject* replaced_waitpid(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  int pid = 0;
  int options = 0;
  Selection selection;
  const bool usual = count == 2 && keywords == nullptr && read_int(arguments[0], &pid) &&
                     read_int(arguments[1], &options) && select(pid, options, &selection);
  if (!usual || !may_block()) return g_original.waitpid(self, arguments, count, keywords);
  const Ref no_wait = Ref::steal(PyLong_FromLong(options | WNOHANG));
  if (!no_wait) return nullptr;
  PyObject* look[] = {arguments[0], no_wait.get()};
  return until_seen(selection, [&] { return g_original.waitpid(self, look, 2); });
}

PyObject* replaced_wait(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  if (!may_block()) return g_original.wait(self);
  const Ref any = Ref::steal(PyLong_FromLong(-1));
  const Ref no_wait = Ref::steal(PyLong_FromLong(WNOHANG));
  if (!any || !no_wait) return nullptr;
  PyObject* look[] = {any.get(), no_wait.get()};
  return until_seen({P_ALL, 0, WEXITED}, [&] { return g_original.waitpid(self, look, 2); });
}

PyObject* replaced_wait3(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  static constexpr const char* kNames[] = {"options", nullptr};
  const auto original = [&] { return g_original.wait3(self, arguments, count, keywords); };
  PyObject* value = nullptr;
  int options = 0;
  Selection selection;
  const bool usual = parse_arguments("wait3", arguments, count, keywords, kNames, 1, &value) &&
                     read_int(value, &options) && select(-1, options, &selection);
  PyErr_Clear();
  if (!usual || !may_block()) return original();
  const Ref no_wait = Ref::steal(PyLong_FromLong(options | WNOHANG));
  if (!no_wait) return nullptr;
  PyObject* look = no_wait.get();
  return until_seen(selection, [&] { return g_original.wait3(self, &look, 1); });
}

PyObject* replaced_wait4(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  static constexpr const char* kNames[] = {"pid", "options", nullptr};
  const auto original = [&] { return g_original.wait4(self, arguments, count, keywords); };
  PyObject* values[2];
  int pid = 0;
  int options = 0;
  Selection selection;
  const bool usual = parse_arguments("wait4", arguments, count, keywords, kNames, 2, values) &&
                     read_int(values[0], &pid) && read_int(values[1], &options) &&
                     select(pid, options, &selection);
  PyErr_Clear();
  if (!usual || !may_block()) return original();
  const Ref no_wait = Ref::steal(PyLong_FromLong(options | WNOHANG));
  if (!no_wait) return nullptr;
  PyObject* look[] = {values[0], no_wait.get()};
  return until_seen(selection, [&] { return g_original.wait4(self, look, 2); });
}

// A pidfd that does not block is to be told EAGAIN.
bool is_nonblocking_pidfd(int type, int id) noexcept {
  if (type != P_PIDFD) return false;
  const int flags = fcntl(id, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

PyObject* replaced_waitid(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  constexpr int kEvents = WEXITED | WSTOPPED | WCONTINUED;
  int type = 0;
  int id = 0;
  int options = 0;
  const bool usual = count == 3 && keywords == nullptr && read_int(arguments[0], &type) &&
                     read_int(arguments[1], &id) && read_int(arguments[2], &options) &&
                     (options & ~(kEvents | WNOWAIT)) == 0 && !is_nonblocking_pidfd(type, id);
  if (!usual || !may_block()) return g_original.waitid(self, arguments, count, keywords);
  const Ref no_wait = Ref::steal(PyLong_FromLong(options | WNOHANG));
  if (!no_wait) return nullptr;
  PyObject* look[] = {arguments[0], arguments[1], no_wait.get()};
  const Selection selection{static_cast<idtype_t>(type), static_cast<id_t>(id), options & kEvents};
  return until_seen(selection, [&] { return g_original.waitid(self, look, 3); });
}

// --- os.system ----------------------------------------------------------------------------

struct ShellCommand {
  const char* text;
  int result;
};

void run_shell(void* command) {
  auto& shell = *static_cast<ShellCommand*>(command);
  // NOLINTNEXTLINE(cert-env33-c,bugprone-command-processor): it is what the program calls
  shell.result = system(shell.text);
}

// On a thread, for system() waits inside. Cancelled, it kills the shell. The shell
// inherits the thread's signal mask, which so is the caller's.
PyObject* replaced_system(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  static constexpr const char* kNames[] = {"command", nullptr};
  const auto original = [&] { return g_original.system(self, arguments, count, keywords); };
  PyObject* command = nullptr;
  PyObject* encoded = nullptr;
  const bool usual = parse_arguments("system", arguments, count, keywords, kNames, 1, &command) &&
                     PyUnicode_FSConverter(command, static_cast<void*>(&encoded)) != 0;
  const Ref keep = Ref::steal(encoded);
  PyErr_Clear();
  if (!usual || !may_block()) return original();
  if (PySys_Audit("os.system", "(O)", encoded) < 0) return nullptr;
  ShellCommand shell{PyBytes_AS_STRING(encoded), 0};
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  HelperThread thread;
  thread_state::ensure_scheduler();
  Status status = thread.start(run_shell, &shell, mask);
  if (status == Status::kOk) status = wait([&] { return thread.wait(Deadline::never()); });
  return status == Status::kOk ? PyLong_FromLong(shell.result) : raise(status);
}

}  // namespace

bool install() noexcept {
  if (g_original.waitpid) return true;
  const Ref module = Ref::steal(PyImport_ImportModule("posix"));
  Originals& o = g_original;
  return module && retarget<replaced_wait>(module.get(), "wait", &o.wait) &&
         retarget<replaced_waitpid>(module.get(), "waitpid", &o.waitpid) &&
         retarget<replaced_wait3>(module.get(), "wait3", &o.wait3) &&
         retarget<replaced_wait4>(module.get(), "wait4", &o.wait4) &&
         retarget<replaced_waitid>(module.get(), "waitid", &o.waitid) &&
         retarget<replaced_system>(module.get(), "system", &o.system);
}

}  // namespace coev::python::processes
