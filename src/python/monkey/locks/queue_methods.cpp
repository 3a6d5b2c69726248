#include "python/monkey/locks/queue_methods.h"

#include <utility>

#include "core/lock.h"
#include "python/base/ref.h"
#include "python/monkey/locks/condition_methods.h"
#include "python/monkey/locks/native_locks.h"
#include "python/waiting/blocking.h"

namespace coev::python {
namespace {

PyObject* g_missing = nullptr;  // get() has to be done in Python

struct Names {
  PyObject* mutex = PyUnicode_InternFromString("mutex");
  PyObject* queue = PyUnicode_InternFromString("queue");
  PyObject* maxsize = PyUnicode_InternFromString("maxsize");
  PyObject* unfinished_tasks = PyUnicode_InternFromString("unfinished_tasks");
  PyObject* not_empty = PyUnicode_InternFromString("not_empty");
  PyObject* not_full = PyUnicode_InternFromString("not_full");
  PyObject* waiters = PyUnicode_InternFromString("_waiters");
  PyObject* is_shutdown = PyUnicode_InternFromString("is_shutdown");
  PyObject* append = PyUnicode_InternFromString("append");
  PyObject* popleft = PyUnicode_InternFromString("popleft");
};

const Names& names() noexcept {
  static const Names all;
  return all;
}

// The class, and whether it can be shut down, as from 3.13 on.
struct QueueType {
  PyObject* type = nullptr;
  bool has_shutdown = false;
  QueueType() noexcept {
    const Ref module = Ref::steal(PyImport_ImportModule("queue"));
    if (module) type = PyObject_GetAttrString(module.get(), "Queue");
    has_shutdown = type != nullptr && PyObject_HasAttrString(type, "shutdown") != 0;
    PyErr_Clear();
  }
};

// A queue that is as usual, and whose mutex is free: while the GIL is held the mutex
// would add nothing.
class UsualQueue {
 public:
  explicit UsualQueue(PyObject* object) noexcept : object_(object) {
    static const QueueType type;
    if (reinterpret_cast<PyObject*>(Py_TYPE(object)) != type.type) return;
    has_shutdown_ = type.has_shutdown;
    mutex_ = get(names().mutex);
    items_ = get(names().queue);
    lock_ = mutex_ && items_ ? native_locks::find_lock(mutex_.get()) : nullptr;
    PyErr_Clear();
  }

  [[nodiscard]] bool usable() const noexcept {
    return lock_ != nullptr && !lock_->locked() && !is_shut_down();
  }
  [[nodiscard]] bool is_shut_down() const noexcept {
    return has_shutdown_ && get(names().is_shutdown).get() != Py_False;
  }
  [[nodiscard]] bool is_bounded() const noexcept {
    const Ref most = get(names().maxsize);
    return !most || !PyLong_CheckExact(most.get()) || PyLong_AsLong(most.get()) > 0;
  }
  [[nodiscard]] bool is_empty() const noexcept { return PyObject_Size(items_.get()) <= 0; }

  // Both false or empty with an exception set.
  bool append(PyObject* item) noexcept {
    const Ref appended = Ref::steal(PyObject_CallMethodOneArg(items_.get(), names().append, item));
    const Ref before = appended ? get(names().unfinished_tasks) : Ref();
    static PyObject* const one = PyLong_FromLong(1);
    const Ref now = Ref::steal(before ? PyNumber_Add(before.get(), one) : nullptr);
    return now && PyObject_SetAttr(object_, names().unfinished_tasks, now.get()) == 0 &&
           notify(names().not_empty);
  }
  Ref take() noexcept {
    Ref item = Ref::steal(PyObject_CallMethodNoArgs(items_.get(), names().popleft));
    return item && notify(names().not_full) ? std::move(item) : Ref();
  }

  // Waits until there is an item. kTimedOut: get() is to be done in Python.
  Status await_item() noexcept {
    const Ref waiters = waiters_of(names().not_empty);
    if (!waiters) return Status::kInterrupted;
    static_cast<void>(lock_->try_acquire());
    Status status = Status::kOk;
    while (status == Status::kOk && is_empty()) {
      status = wait_for_notice(mutex_.get(), waiters.get(), Deadline::never());
      if (status == Status::kOk && is_shut_down()) status = Status::kTimedOut;
    }
    static_cast<void>(lock_->release());
    return status;
  }

 private:
  [[nodiscard]] Ref get(PyObject* name) const noexcept {
    return Ref::steal(PyObject_GetAttr(object_, name));
  }
  [[nodiscard]] Ref waiters_of(PyObject* condition_name) const noexcept {
    const Ref condition = get(condition_name);
    return Ref::steal(condition ? PyObject_GetAttr(condition.get(), names().waiters) : nullptr);
  }
  bool notify(PyObject* condition_name) noexcept {
    const Ref waiters = waiters_of(condition_name);
    if (!waiters) return false;
    while (PyObject_Size(waiters.get()) > 0 && !notify_one(waiters.get())) {
      if (PyErr_Occurred() != nullptr) return false;
    }
    return true;
  }

  PyObject* object_;  // borrowed
  Ref mutex_;
  Ref items_;
  Lock* lock_ = nullptr;
  bool has_shutdown_ = false;
};

PyObject* refuse_arguments() noexcept {
  PyErr_BadArgument();
  return nullptr;
}

// False: let the code in Python do it.
PyObject* queue_put(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) return refuse_arguments();
  UsualQueue queue(arguments[0]);
  if (!queue.usable() || queue.is_bounded()) {
    PyErr_Clear();
    Py_RETURN_FALSE;
  }
  if (!queue.append(arguments[1])) return nullptr;
  Py_RETURN_TRUE;
}

PyObject* queue_get(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3) return refuse_arguments();
  UsualQueue queue(arguments[0]);
  if (!queue.usable()) {
    PyErr_Clear();
    return Py_NewRef(g_missing);
  }
  if (queue.is_empty()) {
    if (arguments[1] != Py_True || arguments[2] != Py_None) return Py_NewRef(g_missing);
    if (!can_block()) return nullptr;
    const Status status = queue.await_item();
    if (status == Status::kTimedOut) return Py_NewRef(g_missing);
    if (status != Status::kOk) return nullptr;
  }
  return queue.take().release();
}

PyMethodDef queue_functions[] = {{"_queue_put", as_method(queue_put), METH_FASTCALL, nullptr},
                                 {"_queue_get", as_method(queue_get), METH_FASTCALL, nullptr},
                                 {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_queue_methods(PyObject* module) noexcept {
  g_missing = PyObject_CallNoArgs(reinterpret_cast<PyObject*>(&PyBaseObject_Type));
  return g_missing != nullptr && PyModule_AddObjectRef(module, "_missing", g_missing) == 0 &&
         PyModule_AddFunctions(module, queue_functions) == 0;
}

}  // namespace coev::python
