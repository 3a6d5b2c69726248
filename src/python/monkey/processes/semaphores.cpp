#include "python/monkey/processes/semaphores.h"

#include <semaphore.h>
#include <signal.h>
#include <structmember.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "core/helper_thread.h"
#include "python/base/arguments.h"
#include "python/base/module_hook.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/waiting/backoff.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/timeouts.h"

namespace coev::python::semaphores {
namespace {

struct Originals {
  Original acquire, enter, release, exit, is_mine;
};
Originals g_original;

// How CPython lays out a SemLock, from its first field on.
struct Fields {
  sem_t* handle;
  unsigned long owner;  // who acquired it last
  int count;            // how often, less the releases
  int maximum;
  int kind;
};
Py_ssize_t g_offset = 0;

Fields& fields_of(PyObject* object) noexcept {
  return *reinterpret_cast<Fields*>(reinterpret_cast<char*>(object) + g_offset);
}

// While it lives, the owner of a semaphore is what the originals take for this
// coroutine, or nobody. REQUIRES: nothing switches meanwhile.
class NativeOwner {
 public:
  explicit NativeOwner(PyObject* semaphore) noexcept
      : fields_(fields_of(semaphore)), before_(fields_.owner) {
    fields_.owner = before_ == current_ident() ? PyThread_get_thread_ident() : 0;
  }
  ~NativeOwner() { fields_.owner = fields_.owner == 0 ? before_ : current_ident(); }
  NativeOwner(const NativeOwner&) = delete;
  NativeOwner& operator=(const NativeOwner&) = delete;

 private:
  Fields& fields_;
  unsigned long before_;
};

PyObject* try_acquire(PyObject* self) noexcept {
  const NativeOwner owner(self);
  PyObject* no_wait[] = {Py_False};
  return g_original.acquire(self, no_wait, 1);
}

struct TokenWait {
  sem_t* semaphore;
  bool taken;
};

void wait_for_token(void* argument) {
  auto& waiting = *static_cast<TokenWait*>(argument);
  while (sem_wait(waiting.semaphore) != 0 && errno == EINTR) {
  }
  waiting.taken = true;
}

// Has a thread wait in the kernel.
// SWITCHES: always. ERRORS: kTimedOut, kNoMemory (no thread can be started),
// kInterrupted with an exception set.
Status take_token(sem_t* semaphore, Deadline deadline) noexcept {
  TokenWait waiting{semaphore, false};
  sigset_t all;
  sigfillset(&all);
  HelperThread thread;
  Status status = thread.start(wait_for_token, &waiting, all);
  if (status != Status::kOk) return status;
  thread_state::ensure_scheduler();
  status = wait([&] { return thread.wait(deadline); });
  thread.end();
  if (status == Status::kTimedOut && waiting.taken) status = Status::kOk;
  // The cancelled thread may be the one that a release has woken: then somebody
  // else is to be woken for the token that lies there.
  if (status != Status::kOk && (waiting.taken || sem_trywait(semaphore) == 0)) sem_post(semaphore);
  return status;
}

// New reference to True or False, or nullptr with an exception set.
PyObject* acquire_until(PyObject* self, Deadline deadline) noexcept {
  const Ref keep = Ref::borrow(self);
  Fields& fields = fields_of(self);
  Backoff backoff;
  for (;;) {
    PyObject* acquired = try_acquire(self);
    if (acquired != Py_False || deadline.passed()) return acquired;
    Py_DECREF(acquired);
    Status status = take_token(fields.handle, deadline);
    if (status == Status::kOk) break;
    if (status == Status::kNoMemory) status = backoff.pause();
    if (status == Status::kInterrupted) return raise(status);
  }
  ++fields.count;
  fields.owner = current_ident();
  Py_RETURN_TRUE;
}

// False: the original is to say what is wrong, or need not wait.
bool parse_acquire(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                   Deadline* deadline) noexcept {
  static constexpr const char* kNames[] = {"block", "timeout", nullptr};
  PyObject* values[2];
  if (!parse_arguments("acquire", arguments, count, keywords, kNames, 0, values)) return false;
  if (values[0] != nullptr && (!PyLong_Check(values[0]) || PyObject_IsTrue(values[0]) != 1)) {
    return false;
  }
  if (values[1] == nullptr || values[1] == Py_None) return true;
  std::int64_t ns = 0;
  if (!parse_seconds(values[1], &ns)) return false;
  *deadline = Deadline::after(std::max<std::int64_t>(ns, 0));
  return true;
}

PyObject* replaced_acquire(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  Deadline deadline = Deadline::never();
  if (parse_acquire(arguments, count, keywords, &deadline) && may_block()) {
    return acquire_until(self, deadline);
  }
  PyErr_Clear();
  const NativeOwner owner(self);
  return g_original.acquire(self, arguments, count, keywords);
}

PyObject* replaced_enter(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  return replaced_acquire(self, nullptr, 0, nullptr);
}

// release(), __exit__() and _is_mine()
template <Original Originals::*original>
PyObject* as_owner(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                   PyObject* keywords) {
  const NativeOwner owner(self);
  return (g_original.*original)(self, arguments, count, keywords);
}

Py_ssize_t offset_of(PyObject* type, const char* member) noexcept {
  PyObject* found = PyDict_GetItemString(reinterpret_cast<PyTypeObject*>(type)->tp_dict, member);
  if (found == nullptr || !Py_IS_TYPE(found, &PyMemberDescr_Type)) return -1;
  return reinterpret_cast<PyMemberDescrObject*>(found)->d_member->offset;
}

// By the fields that show in Python: what lies between them does not.
bool check_layout(PyObject* type) noexcept {
  g_offset = offset_of(type, "handle");
  const auto at = [](std::size_t field) { return g_offset + static_cast<Py_ssize_t>(field); };
  if (g_offset > 0 && offset_of(type, "maxvalue") == at(offsetof(Fields, maximum)) &&
      offset_of(type, "kind") == at(offsetof(Fields, kind))) {
    return true;
  }
  PyErr_SetString(PyExc_ImportError,
                  "coev does not know how this interpreter lays out its semaphores");
  return false;
}

bool install_into(PyObject* module) noexcept {
  Originals& o = g_original;
  if (o.acquire) return true;  // another copy of the module has the same table of methods
  const Ref type = Ref::steal(PyObject_GetAttrString(module, "SemLock"));
  return type && check_layout(type.get()) &&
         retarget<replaced_acquire>(type.get(), "acquire", &o.acquire) &&
         retarget<replaced_enter>(type.get(), "__enter__", &o.enter) &&
         retarget<as_owner<&Originals::release>>(type.get(), "release", &o.release) &&
         retarget<as_owner<&Originals::exit>>(type.get(), "__exit__", &o.exit) &&
         retarget<as_owner<&Originals::is_mine>>(type.get(), "_is_mine", &o.is_mine);
}

}  // namespace

bool install() noexcept { return when_loaded("_multiprocessing", install_into); }

}  // namespace coev::python::semaphores
