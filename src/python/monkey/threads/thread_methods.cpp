#include "python/monkey/threads/thread_methods.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/lock.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/locks/event_methods.h"
#include "python/monkey/locks/native_locks.h"
#include "python/monkey/threads/thread_module.h"
#include "python/waiting/acquiring.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"

namespace coev::python {
namespace {

PyObject* intern(const char* text) noexcept { return PyUnicode_InternFromString(text); }

struct Names {
  PyObject* acquire = intern("acquire");
  PyObject* allocate_lock = intern("_allocate_lock");
  PyObject* bootstrap = intern("_bootstrap");
  PyObject* current_thread = intern("current_thread");
  PyObject* daemon = intern("daemon");
  PyObject* daemonic = intern("_daemonic");
  PyObject* daemons_allowed = intern("_daemon_threads_allowed");
  PyObject* dunder_name = intern("__name__");
  PyObject* get_ident = intern("get_ident");
  PyObject* ident = intern("_ident");
  PyObject* maintain_shutdown_locks = intern("_maintain_shutdown_locks");
  PyObject* make_hook = intern("_make_invoke_excepthook");
  PyObject* native_id = intern("_native_id");
  PyObject* originals = intern("_coev_originals");
  PyObject* release = intern("release");
  PyObject* start_joinable_thread = intern("_start_joinable_thread");
  PyObject* start_new_thread = intern("_start_new_thread");
  PyObject* tstate_lock = intern("_tstate_lock");
};

const Names& names() noexcept {
  static const Names all;
  return all;
}

// Whether a class has the attributes that its base had when coev.monkey was imported, and
// nothing of its own that could run Python code where the base's runs none. What was found
// about a class holds for as long as CPython's own caches say that it has not changed.
class Stock {
 public:
  [[nodiscard]] bool initialize(PyObject* base, PyObject* attributes) noexcept {
    base_ = reinterpret_cast<PyTypeObject*>(Py_NewRef(base));
    values_ = PyDict_New();
    for (Py_ssize_t i = 0; values_ != nullptr && i < PyTuple_GET_SIZE(attributes); ++i) {
      PyObject* name = PyTuple_GET_ITEM(attributes, i);
      const Ref value = Ref::steal(PyObject_GetAttr(base, name));
      if (!value || PyDict_SetItem(values_, name, value.get()) < 0) return false;
    }
    return values_ != nullptr;
  }

  [[nodiscard]] bool is_base(const PyTypeObject* type) const noexcept { return type == base_; }

  [[nodiscard]] bool includes(PyTypeObject* type) noexcept {
    Known& known = known_[(reinterpret_cast<std::uintptr_t>(type) >> 5) % known_.size()];
    const unsigned long valid = type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG;
    if (known.type == type && known.version == type->tp_version_tag && known.valid == valid &&
        known.version != 0) [[likely]] {
      return known.stock;
    }
    const bool stock = look(type);  // has CPython give the class a version
    known = {type, type->tp_version_tag, type->tp_flags & Py_TPFLAGS_VALID_VERSION_TAG, stock};
    return stock;
  }

 private:
  struct Known {
    PyTypeObject* type = nullptr;  // not owned: one that comes to its place has another version
    unsigned version = 0;
    unsigned long valid = 0;
    bool stock = false;
  };

  [[nodiscard]] bool look(PyTypeObject* type) const noexcept {
    if (base_ == nullptr || type->tp_getattro != PyObject_GenericGetAttr ||
        type->tp_setattro != PyObject_GenericSetAttr ||
        type->tp_hash != PyBaseObject_Type.tp_hash ||
        type->tp_richcompare != PyBaseObject_Type.tp_richcompare) {
      return false;
    }
    PyObject* name = nullptr;
    PyObject* value = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(values_, &at, &name, &value) != 0;) {
      const Ref found = Ref::steal(PyObject_GetAttr(reinterpret_cast<PyObject*>(type), name));
      if (!found) PyErr_Clear();
      if (found.get() != value) return false;
    }
    return true;
  }

  PyTypeObject* base_ = nullptr;
  PyObject* values_ = nullptr;
  std::array<Known, 16> known_;
};

Stock g_thread;
Stock g_event;
Stock g_thread_class;                   // as for its instances, and how it makes one
PyObject* g_init = nullptr;             // Thread.__init__
PyObject* g_globals = nullptr;          // threading's
PyObject* g_get_ident = nullptr;        // of _thread
PyObject* g_starter = nullptr;          // the same: _start_new_thread or _start_joinable_thread
PyObject* g_daemons_allowed = nullptr;  // the same; nullptr if they are not, or before 3.12

// Borrowed; nullptr, without an exception, if it is not there.
PyObject* global(PyObject* name) noexcept { return PyDict_GetItemWithError(g_globals, name); }

Ref attribute(PyObject* object, PyObject* name) noexcept {
  return Ref::steal(PyObject_GetAttr(object, name));
}

Ref call_global(PyObject* name) noexcept {
  const Ref function = Ref::borrow(global(name));
  if (function) return Ref::steal(PyObject_CallNoArgs(function.get()));
  PyErr_Format(PyExc_NameError, "name '%U' is not defined", name);
  return Ref();
}

bool is_stock(PyObject* thread) noexcept { return g_thread.includes(Py_TYPE(thread)); }

// Whether it is an Event whose flag is all that there is to it.
bool is_plain(PyObject* event) noexcept {
  return g_event.is_base(Py_TYPE(event)) && g_event.includes(Py_TYPE(event)) &&
         event_has_flag_alone(event);
}

// The lock of one of threading's tables, while it is needed; not held if somebody else
// has it, and not waited for.
class Guard {
 public:
  // nullptr is a lock that somebody else has.
  explicit Guard(PyObject* object) noexcept
      : lock_(object == nullptr ? nullptr : native_locks::find_lock(object)),
        recursive_(object == nullptr ? nullptr : native_locks::find_rlock(object)) {
    held_ = lock_ != nullptr        ? lock_->try_acquire()
            : recursive_ != nullptr ? recursive_->try_acquire(lock_owner())
                                    : false;
  }
  ~Guard() {
    if (!held_) return;
    static_cast<void>(lock_ != nullptr ? lock_->release() : recursive_->release(lock_owner()));
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  explicit operator bool() const noexcept { return held_; }

 private:
  Lock* lock_;
  RecursiveLock* recursive_;
  bool held_;
};

// A function of exactly `count` arguments.
template <std::size_t count, PyObject* (*function)(PyObject* const*)>
PyObject* with_arguments(PyObject*, PyObject* const* arguments, Py_ssize_t given) {
  if (given == static_cast<Py_ssize_t>(count)) [[likely]]
    return function(arguments);
  PyErr_BadArgument();
  return nullptr;
}

// --- making -----------------------------------------------------------------------------

// f"Thread-{number} ({target_name})"; the target may have no name.
PyObject* numbered_name(PyObject* number, PyObject* target_name) noexcept {
  if (target_name == nullptr) return PyUnicode_FromFormat("Thread-%S", number);
  constexpr std::size_t kShort = 100;
  const long value = PyLong_CheckExact(number) ? PyLong_AsLong(number) : -1;
  if (value == -1) PyErr_Clear();
  const bool is_usual = value >= 0 && PyUnicode_CheckExact(target_name) &&
                        PyUnicode_IS_COMPACT_ASCII(target_name) &&
                        PyUnicode_GET_LENGTH(target_name) < static_cast<Py_ssize_t>(kShort);
  if (!is_usual) {
    const Ref text = Ref::steal(PyObject_Format(target_name, nullptr));
    return text ? PyUnicode_FromFormat("Thread-%S (%U)", number, text.get()) : nullptr;
  }
  std::array<char, kShort + 40> buffer{"Thread-"};
  char* end = std::to_chars(&buffer[sizeof("Thread-") - 1], buffer.end(), value).ptr;
  *end++ = ' ';
  *end++ = '(';
  end = std::copy_n(static_cast<const char*>(PyUnicode_DATA(target_name)),
                    PyUnicode_GET_LENGTH(target_name), end);
  *end++ = ')';
  PyObject* name = PyUnicode_New(end - buffer.data(), 127);
  if (name != nullptr) std::copy(buffer.data(), end, static_cast<char*>(PyUnicode_DATA(name)));
  return name;
}

// The name of a Thread that is given none: counter, target.
PyObject* thread_name(PyObject* const* arguments) {
  const Ref number = Ref::steal(PyObject_CallNoArgs(arguments[0]));
  if (!number) return nullptr;
  if (arguments[1] == Py_None) return numbered_name(number.get(), nullptr);
  Ref target_name = PyFunction_Check(arguments[1])
                        ? Ref::borrow(reinterpret_cast<PyFunctionObject*>(arguments[1])->func_name)
                        : attribute(arguments[1], names().dunder_name);
  if (!target_name) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
    PyErr_Clear();
  }
  return numbered_name(number.get(), target_name.get());
}

// current_thread().daemon
PyObject* inherited_daemon(PyObject* active) noexcept {
  const Ref ident = Ref::steal(PyLong_FromUnsignedLong(current_ident()));
  if (!ident) return nullptr;
  PyObject* found =
      PyDict_CheckExact(active) ? PyDict_GetItemWithError(active, ident.get()) : nullptr;
  if (found != nullptr && is_stock(found)) [[likely]]
    return PyObject_GetAttr(found, names().daemonic);
  const Ref thread = call_global(names().current_thread);
  return thread ? PyObject_GetAttr(thread.get(), names().daemon) : nullptr;
}

// Whether a new Thread is a daemon: what it has been told, perhaps None; _active.
PyObject* thread_daemon(PyObject* const* arguments) {
  PyObject* daemon = arguments[0];
  if (daemon == Py_None) return inherited_daemon(arguments[1]);
  if (global(names().daemons_allowed) == g_daemons_allowed) return Py_NewRef(daemon);
  const int wanted = PyObject_IsTrue(daemon);
  const Ref allowed = wanted > 0 ? call_global(names().daemons_allowed) : Ref::borrow(Py_True);
  if (wanted < 0 || !allowed) return nullptr;
  if (allowed.get() == Py_True) return Py_NewRef(daemon);
  PyErr_SetString(PyExc_RuntimeError, "daemon threads are disabled in this (sub)interpreter");
  return nullptr;
}

// Event(), but for its flag. None: nothing is done.
PyObject* thread_event(PyObject*, PyObject* cls) {
  auto* type = reinterpret_cast<PyTypeObject*>(cls);
  if (!g_event.is_base(type) || !g_event.includes(type) ||
      type->tp_new != PyBaseObject_Type.tp_new) {
    Py_RETURN_NONE;
  }
  return new_instance(type).release();
}

// What a weak reference in threading._dangling calls when its Thread is gone, as
// WeakSet._remove() does; `parts` of that set: data and, up to 3.13, _pending_removals and
// _iterating.
PyObject* forget_dangling(PyObject* parts, PyObject* reference) {
  const bool is_iterated =
      PyTuple_GET_SIZE(parts) > 1 && PySet_GET_SIZE(PyTuple_GET_ITEM(parts, 2)) != 0;
  const int done = is_iterated ? PyList_Append(PyTuple_GET_ITEM(parts, 1), reference)
                               : PySet_Discard(PyTuple_GET_ITEM(parts, 0), reference);
  return done < 0 ? nullptr : Py_NewRef(Py_None);
}

PyMethodDef forget_dangling_definition = {"_remove", forget_dangling, METH_O, nullptr};

// The callback for a set of these parts; nearly always the last one serves again. Borrowed.
PyObject* dangling_callback(PyObject* const* parts, Py_ssize_t count) noexcept {
  static PyObject* made_for = nullptr;  // owned, so that no other set can be at its address
  static PyObject* made = nullptr;
  if (made != nullptr && made_for == parts[0]) [[likely]]
    return made;
  const Ref all = pack(parts, count);
  PyObject* callback = all ? PyCFunction_New(&forget_dangling_definition, all.get()) : nullptr;
  if (callback == nullptr) return nullptr;
  Py_XSETREF(made_for, Py_NewRef(parts[0]));
  Py_XSETREF(made, callback);
  return made;
}

// _dangling.add(thread): thread, _dangling.data and, up to 3.13, ._pending_removals and
// ._iterating. False: nothing is done.
PyObject* thread_dangles(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2 && count != 4) {
    PyErr_BadArgument();
    return nullptr;
  }
  PyObject* const* parts = arguments + 1;
  const bool is_settled =
      count == 2 ||
      (PyList_CheckExact(parts[1]) && PySet_CheckExact(parts[2]) && PyList_GET_SIZE(parts[1]) == 0);
  if (!is_settled || !PySet_CheckExact(parts[0])) Py_RETURN_FALSE;
  PyObject* callback = dangling_callback(parts, count - 1);
  if (callback == nullptr) return nullptr;
  const Ref reference = Ref::steal(PyWeakref_NewRef(arguments[0], callback));
  if (!reference || PySet_Add(parts[0], reference.get()) < 0) return nullptr;
  Py_RETURN_TRUE;
}

// _make_invoke_excepthook(): threading.excepthook, sys.excepthook. What it makes depends
// on these only: nearly always the last one serves again.
PyObject* thread_hook(PyObject* const* arguments) {
  static PyObject* made_for[2] = {nullptr, nullptr};
  static PyObject* made = nullptr;
  if (made != nullptr && made_for[0] == arguments[0] && made_for[1] == arguments[1]) [[likely]]
    return Py_NewRef(made);
  PyObject* originals = global(names().originals);
  const Ref make = originals == nullptr ? Ref() : attribute(originals, names().make_hook);
  Ref hook = Ref::steal(make ? PyObject_CallNoArgs(make.get()) : nullptr);
  if (!hook) return nullptr;
  Py_XSETREF(made_for[0], Py_NewRef(arguments[0]));
  Py_XSETREF(made_for[1], Py_NewRef(arguments[1]));
  Py_XSETREF(made, Py_NewRef(hook.get()));
  return hook.release();
}

// Thread(...) as type.__call__() does it, without a dict for the names of arguments.
PyObject* call_thread(PyObject* cls, PyObject* const* arguments, std::size_t count,
                      PyObject* keywords) {
  auto* type = reinterpret_cast<PyTypeObject*>(cls);
  if ((count & PY_VECTORCALL_ARGUMENTS_OFFSET) == 0 || !Py_IS_TYPE(cls, &PyType_Type) ||
      type->tp_new != PyBaseObject_Type.tp_new || !g_thread_class.includes(type)) [[unlikely]] {
    return adapter::call_with_tuple(cls, arguments, count, keywords);
  }
  Ref thread = new_instance(type);
  if (!thread) return nullptr;
  PyObject** with_thread = const_cast<PyObject**>(arguments) - 1;  // ours meanwhile
  PyObject* kept = std::exchange(*with_thread, thread.get());
  const Ref result =
      Ref::steal(PyObject_Vectorcall(g_init, with_thread, PyVectorcall_NARGS(count) + 1, keywords));
  *with_thread = kept;
  return result ? thread.release() : nullptr;
}

// Makes calls of threading.Thread, but not of its subclasses, run the function above.
[[nodiscard]] bool take_over_calls(PyObject* cls) noexcept {
  const Ref names = Ref::steal(Py_BuildValue("(s)", "__init__"));
  g_init = PyObject_GetAttrString(cls, "__init__");
  if (!names || g_init == nullptr || !g_thread_class.initialize(cls, names.get())) return false;
  reinterpret_cast<PyTypeObject*>(cls)->tp_vectorcall = call_thread;
  return true;
}

// --- starting ---------------------------------------------------------------------------

// What start() of a Thread is given. The last two are for a Thread with a lock, up to 3.12, the
// handle for one of 3.13.
struct Start {
  PyObject* thread;
  PyObject* started;  // _started, not set
  PyObject* starter;  // _start_new_thread or _start_joinable_thread
  PyObject* get_ident;
  PyObject* get_native_id;
  PyObject* active_lock;  // _active_limbo_lock
  PyObject* active;
  PyObject* daemonic;
  PyObject* handle;
  PyObject* shutdown_lock;  // _shutdown_locks_lock
  PyObject* shutdown_locks;
};

// A held lock that the end of the thread will release.
Ref held_lock() noexcept {
  Ref object = call_global(names().allocate_lock);
  Lock* lock = object ? native_locks::find_lock(object.get()) : nullptr;
  if (lock != nullptr) static_cast<void>(lock->try_acquire());
  return object;
}

// Makes room among the locks that are waited for at exit. REQUIRES: their lock is held.
bool maintain(PyObject* shutdown_locks) noexcept {
  constexpr Py_ssize_t kFew = 64;
  if (PySet_GET_SIZE(shutdown_locks) <= kFew) return true;
  return static_cast<bool>(call_global(names().maintain_shutdown_locks));
}

// What a new thread does first, before it has run: `lock` is empty for one with a handle.
// REQUIRES: the lock of _active is held. False with an exception set.
bool begin(const Start& start, CoroutineObject* coroutine, PyObject* native_id,
           PyObject* lock) noexcept {
  const Ref ident = Ref::steal(PyLong_FromUnsignedLong(coroutine->ident));
  if (!ident || PyObject_SetAttr(start.thread, names().ident, ident.get()) < 0 ||
      PyObject_SetAttr(start.thread, names().native_id, native_id) < 0) {
    return false;
  }
  if (lock != nullptr && (PyObject_SetAttr(start.thread, names().tstate_lock, lock) < 0 ||
                          !release_at_end(coroutine, lock))) {
    return false;
  }
  if (PyDict_SetItem(start.active, ident.get(), start.thread) < 0) return false;
  coroutine->is_listed = true;
  return set_event(start.started);
}

// 1; 0: nothing is done; -1 with an exception set.
int start_and_begin(const Start& start) noexcept {
  if (!is_stock(start.thread) || !is_plain(start.started) || start.starter != g_starter ||
      start.get_ident != g_get_ident || !PyDict_CheckExact(start.active)) {
    return 0;
  }
  const Ref bootstrap = attribute(start.thread, names().bootstrap);
  if (!bootstrap) return -1;
  const int is_daemon = PyObject_IsTrue(start.daemonic);
  const Ref native_id =
      is_daemon < 0 ? Ref() : Ref::steal(PyObject_CallNoArgs(start.get_native_id));
  if (!native_id) return -1;
  const bool is_waited_for = start.handle == nullptr && is_daemon == 0;
  const Guard guard(start.active_lock);
  const Guard shutdown_guard(is_waited_for ? start.shutdown_lock : nullptr);
  if (!PyMethod_Check(bootstrap.get()) || !guard || (is_waited_for && !shutdown_guard) ||
      (is_waited_for && !PySet_CheckExact(start.shutdown_locks))) {
    return 0;
  }
  const Ref lock = start.handle == nullptr ? held_lock() : Ref();
  if (start.handle == nullptr && !lock) return -1;
  if (is_waited_for && !maintain(start.shutdown_locks)) return -1;
  CoroutineObject* coroutine =
      start.handle == nullptr
          ? thread_module::start_new(bootstrap.get())
          : thread_module::start_joinable(bootstrap.get(), start.handle, is_daemon != 0);
  const Ref owned = Ref::steal(reinterpret_cast<PyObject*>(coroutine));
  if (coroutine == nullptr) return -1;
  if (begin(start, coroutine, native_id.get(), lock.get()) &&
      (!is_waited_for || PySet_Add(start.shutdown_locks, lock.get()) == 0)) {
    return 1;
  }
  const Ref error = Ref::steal(thread_state::take_exception());  // no memory
  static_cast<void>(kill(coroutine));
  thread_state::set_exception(error.get());
  return -1;
}

// start() of a thread, and what that would do first, so that it need not be waited for: the
// members of Start in their order. It runs at once all the same, as it mostly does where
// start() waits for it. False: nothing is done, perhaps because it has to raise an error.
PyObject* thread_start(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  constexpr Py_ssize_t kCommon = 8;
  const bool has_handle = count == kCommon + 1;
  if (!has_handle && count != kCommon + 2) {
    PyErr_BadArgument();
    return nullptr;
  }
  if (!can_block()) return nullptr;
  const Start start{arguments[0],
                    arguments[1],
                    arguments[2],
                    arguments[3],
                    arguments[4],
                    arguments[5],
                    arguments[6],
                    arguments[7],
                    has_handle ? arguments[kCommon] : nullptr,
                    has_handle ? nullptr : arguments[kCommon],
                    has_handle ? nullptr : arguments[kCommon + 1]};
  const int begun = start_and_begin(start);
  if (begun <= 0) return begun < 0 ? nullptr : Py_NewRef(Py_False);
  return yield_to_newest() ? Py_NewRef(Py_True) : nullptr;
}

// _delete(): thread, _ident, _active_limbo_lock, _active. False: nothing is done.
PyObject* thread_leave(PyObject* const* arguments) {
  PyObject* ident = arguments[1];
  if (!is_stock(arguments[0]) || !PyLong_CheckExact(ident) || !PyDict_CheckExact(arguments[3]) ||
      PyLong_AsUnsignedLong(ident) != current_ident()) {
    PyErr_Clear();
    Py_RETURN_FALSE;
  }
  const Guard guard(arguments[2]);
  if (!guard) Py_RETURN_FALSE;
  return PyDict_DelItem(arguments[3], ident) < 0 ? nullptr : Py_NewRef(Py_True);
}

// --- joining ----------------------------------------------------------------------------

// Whether the lock shows that it has ended; then nobody needs to wait for the lock at exit:
// thread, _tstate_lock, _shutdown_locks_lock, _shutdown_locks. False: nothing is done.
PyObject* thread_has_released(PyObject* const* arguments) {
  const Lock* lock = native_locks::find_lock(arguments[1]);
  if (lock == nullptr || lock->locked() || !is_stock(arguments[0])) Py_RETURN_FALSE;
  const Guard guard(arguments[2]);
  if (!guard || !PySet_CheckExact(arguments[3])) Py_RETURN_FALSE;
  return PySet_Discard(arguments[3], arguments[1]) < 0 ? nullptr : Py_NewRef(Py_True);
}

// Waits until the lock is free, and leaves it so: lock, blocking, timeout of its acquire().
// Whether it was free in time.
PyObject* thread_await_release(PyObject* const* arguments) {
  PyObject* lock = arguments[0];
  Ref acquired = Ref::steal(
      PyObject_CallMethodObjArgs(lock, names().acquire, arguments[1], arguments[2], nullptr));
  if (acquired.get() != Py_True) return acquired.release();
  const Ref released = Ref::steal(PyObject_CallMethodNoArgs(lock, names().release));
  return released ? acquired.release() : nullptr;
}

// Whether the coroutine of a handle has ended.
PyObject* thread_has_ended(PyObject*, PyObject* handle) {
  return PyBool_FromLong(thread_module::coroutine_has_ended(handle));
}

// A function of threading if it is one in C; nullptr, without an exception, if not.
[[nodiscard]] PyObject* global_in_c(PyObject* name) noexcept {
  PyObject* function = global(name);
  return function != nullptr && PyCFunction_CheckExact(function) ? Py_NewRef(function) : nullptr;
}

[[nodiscard]] bool allows_daemons(PyObject* function) noexcept {
  const Ref allowed = Ref::steal(function != nullptr ? PyObject_CallNoArgs(function) : nullptr);
  PyErr_Clear();
  return allowed.get() == Py_True;  // which it always is in a main interpreter
}

// Takes down, before the program has a chance to change it, what of Thread and of Event
// has to stay as it is: threading, names of attributes of the one and of the other.
PyObject* thread_adopt(PyObject* const* arguments) {
  g_globals = Py_NewRef(PyModule_GetDict(arguments[0]));
  g_get_ident = global_in_c(names().get_ident);
  g_starter = global_in_c(names().start_joinable_thread);
  if (g_starter == nullptr) g_starter = global_in_c(names().start_new_thread);
  g_daemons_allowed = global_in_c(names().daemons_allowed);
  if (!allows_daemons(g_daemons_allowed)) Py_CLEAR(g_daemons_allowed);
  const Ref thread = Ref::steal(PyObject_GetAttrString(arguments[0], "Thread"));
  const Ref event = Ref::steal(PyObject_GetAttrString(arguments[0], "Event"));
  if (!thread || !event || !g_thread.initialize(thread.get(), arguments[1]) ||
      !g_event.initialize(event.get(), arguments[2])) {
    return nullptr;
  }
  const bool is_ours = PyTuple_GET_SIZE(arguments[1]) > 0;  // of which we know how it is made
  return is_ours && !take_over_calls(thread.get()) ? nullptr : Py_NewRef(Py_None);
}

}  // namespace

PyMethodDef thread_functions[] = {
    {"_thread_adopt", as_method(with_arguments<3, thread_adopt>), METH_FASTCALL, nullptr},
    {"_thread_name", as_method(with_arguments<2, thread_name>), METH_FASTCALL, nullptr},
    {"_thread_daemon", as_method(with_arguments<2, thread_daemon>), METH_FASTCALL, nullptr},
    {"_thread_event", thread_event, METH_O, nullptr},
    {"_thread_dangles", as_method(thread_dangles), METH_FASTCALL, nullptr},
    {"_thread_hook", as_method(with_arguments<2, thread_hook>), METH_FASTCALL, nullptr},
    {"_thread_start", as_method(thread_start), METH_FASTCALL, nullptr},
    {"_thread_leave", as_method(with_arguments<4, thread_leave>), METH_FASTCALL, nullptr},
    {"_thread_has_released", as_method(with_arguments<4, thread_has_released>), METH_FASTCALL,
     nullptr},
    {"_thread_await_release", as_method(with_arguments<3, thread_await_release>), METH_FASTCALL,
     nullptr},
    {"_thread_has_ended", thread_has_ended, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace coev::python
