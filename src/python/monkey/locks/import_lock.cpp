#include "python/monkey/locks/import_lock.h"

#include <Python.h>

#include "core/lock.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"

namespace coev::python::import_lock {
namespace {

struct Originals {
  Original acquire, release;
};
Originals g_original;
RecursiveLock g_lock;  // taken before CPython's, which only counts for the OS thread

// No signal and no timeout ends the wait, as with CPython's.
void acquire() noexcept {
  const RecursiveLock::Owner self = current_ident();
  if (g_lock.acquire_free(self)) return;
  if (!may_block()) return;
  thread_state::ensure_scheduler();
  g_lock.acquire_all(self, 1);
}

// What began when nothing could be waited for may have nothing to give back.
void release() noexcept { static_cast<void>(g_lock.release(current_ident())); }

PyObject* replaced_acquire_lock(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  acquire();
  return g_original.acquire(self);
}

PyObject* replaced_release_lock(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  const bool held_elsewhere = g_lock.locked() && !g_lock.owned_by(current_ident());
  if (held_elsewhere && may_block()) {
    PyErr_SetString(PyExc_RuntimeError, "not holding the import lock");
    return nullptr;
  }
  PyObject* result = g_original.release(self);
  if (result != nullptr) release();
  return result;
}

PyObject* before_fork(PyObject*, PyObject*) {
  acquire();
  Py_RETURN_NONE;
}

PyObject* after_fork(PyObject*, PyObject*) {
  release();
  Py_RETURN_NONE;
}

PyMethodDef before_fork_definition = {"_before_fork", before_fork, METH_NOARGS, nullptr};
PyMethodDef after_fork_definition = {"_after_fork", after_fork, METH_NOARGS, nullptr};

bool watch_forks() noexcept {
  const Ref posix = Ref::steal(PyImport_ImportModule("posix"));
  const Ref function =
      posix ? Ref::steal(PyObject_GetAttrString(posix.get(), "register_at_fork")) : Ref();
  const Ref before = Ref::steal(PyCFunction_New(&before_fork_definition, nullptr));
  const Ref after = Ref::steal(PyCFunction_New(&after_fork_definition, nullptr));
  if (!function || !before || !after) return false;
  const Ref nothing = Ref::steal(PyTuple_New(0));
  const Ref hooks = Ref::steal(Py_BuildValue("{sOsOsO}", "before", before.get(), "after_in_parent",
                                             after.get(), "after_in_child", after.get()));
  if (!nothing || !hooks) return false;
  return static_cast<bool>(Ref::steal(PyObject_Call(function.get(), nothing.get(), hooks.get())));
}

}  // namespace

bool install() noexcept {
  if (g_original.acquire) return true;
  const Ref imp = Ref::steal(PyImport_ImportModule("_imp"));
  return imp && retarget<replaced_acquire_lock>(imp.get(), "acquire_lock", &g_original.acquire) &&
         retarget<replaced_release_lock>(imp.get(), "release_lock", &g_original.release) &&
         watch_forks();
}

}  // namespace coev::python::import_lock
