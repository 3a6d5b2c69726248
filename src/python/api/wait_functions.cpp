#include "python/api/wait_functions.h"

#include "core/readiness.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/waiting/blocking.h"
#include "python/waiting/fd_waiting.h"
#include "python/waiting/offloading.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

PyObject* function_sleep(PyObject*, PyObject* seconds) {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(seconds, &deadline) || !can_block()) return nullptr;
  Scheduler& scheduler = thread_state::scheduler();
  const Status status = wait([&] { return scheduler.sleep_until(deadline); });
  if (status == Status::kTimedOut) Py_RETURN_NONE;
  return raise(status);
}

// The common end of the functions that wait for an fd; the events seen, or -1.
long wait_for_events(PyObject* object, unsigned events, PyObject* timeout) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline) || !can_block()) return -1;
  const int fd = parse_fd(object);
  if (fd < 0) return -1;
  unsigned ready = 0;
  const Status status = wait_for_fd(fd, events, deadline, nullptr, &ready);
  if (status == Status::kOk) return static_cast<long>(ready);
  raise(status);
  return -1;
}

PyObject* wait_for_one(const char* name, unsigned event, PyObject* const* arguments,
                       Py_ssize_t count, PyObject* keywords) noexcept {
  static constexpr const char* kNames[] = {"fd", "timeout", nullptr};
  PyObject* values[2];
  if (!parse_arguments(name, arguments, count, keywords, kNames, 1, values)) return nullptr;
  if (wait_for_events(values[0], event, values[1]) < 0) return nullptr;
  Py_RETURN_NONE;
}

PyObject* function_wait_readable(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                                 PyObject* keywords) {
  return wait_for_one("wait_readable", kReadable, arguments, count, keywords);
}

PyObject* function_wait_writable(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                                 PyObject* keywords) {
  return wait_for_one("wait_writable", kWritable, arguments, count, keywords);
}

PyObject* function_wait(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  static constexpr const char* kNames[] = {"fd", "events", "timeout", nullptr};
  PyObject* values[3];
  if (!parse_arguments("wait", arguments, count, keywords, kNames, 2, values)) return nullptr;
  const long events = PyLong_AsLong(values[1]);
  if (events == -1 && PyErr_Occurred()) return nullptr;
  if (events <= 0 || (events & ~long{kReadable | kWritable}) != 0) {
    PyErr_SetString(PyExc_ValueError, "events must be READABLE, WRITABLE or both");
    return nullptr;
  }
  const long ready = wait_for_events(values[0], static_cast<unsigned>(events), values[2]);
  return ready < 0 ? nullptr : PyLong_FromLong(ready);
}

// --- offload ------------------------------------------------------------------------

PyObject* function_offload(PyObject*, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  if (count == 0 || !PyCallable_Check(arguments[0])) {
    PyErr_SetString(PyExc_TypeError, "offload() takes a callable and its arguments");
    return nullptr;
  }
  const Ref positional = pack(arguments + 1, count - 1);
  const Ref named = pack_keywords(arguments + count, keywords);
  if (!positional || !named) return nullptr;
  return run_offloaded(arguments[0], positional.get(), named.get(), nullptr);
}

}  // namespace

PyMethodDef waiting_functions[] = {
    {"sleep", function_sleep, METH_O,
     "sleep(seconds, /)\n--\n\nSuspend the current coroutine; None sleeps until it is "
     "interrupted.\n\nSwitches: always.\n\n:raises ValueError: negative or NaN."},
    {"wait_readable", as_method(function_wait_readable), METH_FASTCALL | METH_KEYWORDS,
     "wait_readable(fd, timeout=None)\n--\n\nWait until *fd* can be read without blocking.\n\n"
     "Switches: always.\n\n:param fd: a file descriptor, or an object with fileno().\n"
     ":param timeout: seconds; None waits without limit, 0 only looks.\n"
     ":raises TimeoutError: nothing became readable in time.\n"
     ":raises OSError: EBADF if *fd* is not open or was closed during the wait."},
    {"wait_writable", as_method(function_wait_writable), METH_FASTCALL | METH_KEYWORDS,
     "wait_writable(fd, timeout=None)\n--\n\nWait until *fd* can be written without blocking; "
     "else as wait_readable().\n\nSwitches: always."},
    {"wait", as_method(function_wait), METH_FASTCALL | METH_KEYWORDS,
     "wait(fd, events, timeout=None)\n--\n\nWait for any of *events*, READABLE | WRITABLE, on "
     "*fd*; else as wait_readable().\n\nSwitches: always.\n\n:returns: the events seen."},
    {"offload", as_method(function_offload), METH_FASTCALL | METH_KEYWORDS,
     "offload(fn, /, *args, **kwargs)\n--\n\nRun ``fn(*args, **kwargs)`` on a real thread, for "
     "calls "
     "that block in C or on a disk, and return its result. When the wait is interrupted the call "
     "goes on by itself.\n\nSwitches: always."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
