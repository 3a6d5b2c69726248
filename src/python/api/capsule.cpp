#include "python/api/capsule.h"

#include <coev/coev.h>

#include <cmath>
#include <new>

#include "core/buffer.h"
#include "core/event.h"
#include "core/local.h"
#include "core/lock.h"
#include "core/offload.h"
#include "core/readiness.h"
#include "core/scheduler.h"
#include "python/api/switching.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"

struct coev_lock {
  coev::Lock lock;
};

struct coev_waker {
  std::uint64_t scheduler;
  coev::Coroutine* coroutine;
  std::uint64_t id;
};

struct coev_stream {
  coev::BufferedStream stream;
};

namespace coev::python {
namespace {

static_assert(COEV_READABLE == kReadable && COEV_WRITABLE == kWritable);

Deadline deadline_of(double timeout) noexcept {
  constexpr double kForever = 9e9;
  if (timeout < 0 || timeout >= kForever || std::isnan(timeout)) return Deadline::never();
  return Deadline::after(static_cast<std::int64_t>(std::ceil(timeout * 1e9)));
}

// How every function that waits reports its end.
int outcome(Status status) noexcept {
  if (status == Status::kOk) return 1;
  if (status == Status::kTimedOut) return 0;
  raise(status);
  return -1;
}

template <typename Operation>
int block(Operation operation) noexcept {
  if (!can_block()) return -1;
  thread_state::ensure_scheduler();
  return outcome(wait(operation));
}

CoroutineObject* check_coroutine(PyObject* object) noexcept {
  if (Py_IS_TYPE(object, coroutine_type)) return reinterpret_cast<CoroutineObject*>(object);
  PyErr_Format(PyExc_TypeError, "expected a coev.Coroutine, not %.100s", Py_TYPE(object)->tp_name);
  return nullptr;
}

// --- coroutines -----------------------------------------------------------------------

PyObject* api_current() { return Py_XNewRef(reinterpret_cast<PyObject*>(current_object())); }

PyObject* api_spawn(PyObject* callable, PyObject* arguments, PyObject* keywords) {
  if (!PyCallable_Check(callable) || (arguments != nullptr && !PyTuple_Check(arguments)) ||
      (keywords != nullptr && !PyDict_Check(keywords))) {
    PyErr_SetString(PyExc_TypeError, "spawn takes a callable, a tuple and a dict");
    return nullptr;
  }
  return reinterpret_cast<PyObject*>(spawn(callable, arguments, keywords));
}

// A C function as a Python callable: the bound object carries the pointers, and
// dies with the last call or without one.
struct NativeCall {
  int (*function)(void*);
  void* argument;
  void (*release)(void*);
};
constexpr const char* kNativeCall = "coev.native_call";

void release_argument(void (*release)(void*), void* argument) noexcept {
  if (release == nullptr) return;
  const Ref exception = Ref::steal(PyErr_Occurred() ? thread_state::take_exception() : nullptr);
  release(argument);
  if (PyErr_Occurred()) PyErr_WriteUnraisable(nullptr);
  if (exception) {
    thread_state::set_exception(exception.get());
  }
}

void free_native_call(PyObject* capsule) {
  auto* call = static_cast<NativeCall*>(PyCapsule_GetPointer(capsule, kNativeCall));
  release_argument(call->release, call->argument);
  delete call;
}

PyObject* run_native(PyObject* self, PyObject*) {
  auto* call = static_cast<NativeCall*>(PyCapsule_GetPointer(self, kNativeCall));
  if (call == nullptr || call->function(call->argument) < 0) return nullptr;
  Py_RETURN_NONE;
}

PyObject* api_spawn_native(int (*function)(void*), void* argument, void (*release)(void*)) {
  static PyMethodDef definition = {"native", run_native, METH_NOARGS, nullptr};
  auto* call = new (std::nothrow) NativeCall{function, argument, release};
  const Ref self = Ref::steal(call == nullptr ? PyErr_NoMemory()
                                              : PyCapsule_New(call, kNativeCall, free_native_call));
  if (!self) {
    release_argument(release, argument);
    delete call;
    return nullptr;
  }
  const Ref callable = Ref::steal(PyCFunction_New(&definition, self.get()));
  return callable ? reinterpret_cast<PyObject*>(spawn(callable.get(), nullptr, nullptr)) : nullptr;
}

int api_join(PyObject* object, double timeout) {
  CoroutineObject* coroutine = check_coroutine(object);
  if (coroutine == nullptr) return -1;
  if (coroutine->finished.is_set()) return 1;
  if (coroutine == current_object()) {
    PyErr_SetString(PyExc_RuntimeError, "cannot join current coroutine");
    return -1;
  }
  const Ref keep = Ref::borrow(object);
  const Deadline deadline = deadline_of(timeout);
  return block([&] { return coroutine->finished.wait(deadline); });
}

int api_yield_now() {
  if (!can_block()) return -1;
  const Status status = thread_state::scheduler().yield();
  return status == Status::kInterrupted && !handle_interrupt() ? -1 : 0;
}

int api_sleep(double seconds) {
  const Deadline deadline = deadline_of(seconds);
  const int result = block([&] { return thread_state::scheduler().sleep_until(deadline); });
  return result < 0 ? -1 : 0;
}

PyObject* api_switch_to(PyObject* target, PyObject* value) {
  CoroutineObject* coroutine = check_coroutine(target);
  if (coroutine == nullptr) return nullptr;
  return switch_to(coroutine, value == nullptr ? Py_None : value);
}

int api_throw_into(PyObject* target, PyObject* exception) {
  CoroutineObject* coroutine = check_coroutine(target);
  if (coroutine == nullptr) return -1;
  const Ref done = Ref::steal(PyObject_CallMethod(target, "throw", "O", exception));
  return done ? 0 : -1;
}

// --- file descriptors -----------------------------------------------------------------

int api_wait_fd(int fd, int events, double timeout) {
  const auto wanted = static_cast<unsigned>(events);
  if (wanted == 0 || (wanted & ~(kReadable | kWritable)) != 0) {
    PyErr_SetString(PyExc_ValueError, "events must be COEV_READABLE, COEV_WRITABLE or both");
    return -1;
  }
  const Deadline deadline = deadline_of(timeout);
  unsigned ready = 0;
  const int result = block([&] {
    return thread_state::scheduler().readiness().wait(fd, wanted, deadline, nullptr, &ready);
  });
  return result == 1 ? static_cast<int>(ready) : result;
}

void api_forget_fd(int fd) { Readiness::forget(fd); }

// --- parking --------------------------------------------------------------------------

int api_park(double timeout) {
  const Deadline deadline = deadline_of(timeout);
  return block([&] { return thread_state::scheduler().park_for_permit(deadline); });
}

int api_unpark(PyObject* object) {
  CoroutineObject* coroutine = check_coroutine(object);
  if (coroutine == nullptr) return -1;
  if (coroutine->slot != nullptr) Scheduler::unpark(*coroutine->slot, coroutine->slot->id);
  return 0;
}

coev_waker* api_waker_new() {
  Scheduler& scheduler = thread_state::scheduler();
  Coroutine& current = scheduler.current();
  auto* waker = new (std::nothrow) coev_waker{scheduler.serial(), &current, current.id};
  if (waker == nullptr) PyErr_NoMemory();
  return waker;
}

void api_waker_wake(coev_waker* waker) {
  Scheduler::unpark(waker->scheduler, *waker->coroutine, waker->id);
}
void api_waker_free(coev_waker* waker) { delete waker; }

// --- locks ----------------------------------------------------------------------------

coev_lock* api_lock_new() {
  auto* lock = new (std::nothrow) coev_lock;
  if (lock == nullptr) PyErr_NoMemory();
  return lock;
}

void api_lock_free(coev_lock* lock) { delete lock; }

int api_lock_acquire(coev_lock* lock, double timeout) {
  if (lock->lock.try_acquire()) return 1;
  const Deadline deadline = deadline_of(timeout);
  return block([&] { return lock->lock.acquire(deadline); });
}

int api_lock_release(coev_lock* lock) {
  const Status status = lock->lock.release();
  if (status == Status::kOk) return 0;
  raise(status);
  return -1;
}

// --- coroutine-local storage ----------------------------------------------------------

int api_local_key(void (*destructor)(void*)) {
  const int key = create_local_key(destructor);
  if (key < 0) PyErr_SetString(PyExc_RuntimeError, "no key for coroutine-local storage is left");
  return key;
}

bool is_local_key(int key) noexcept {
  return key >= 0 && static_cast<size_t>(key) < LocalStorage::kMaximumKeys;
}

void* api_local_get(int key) {
  return is_local_key(key) ? thread_state::scheduler().current().locals.get(key) : nullptr;
}

int api_local_set(int key, void* value) {
  if (!is_local_key(key)) {
    PyErr_SetString(PyExc_ValueError, "not a key of coroutine-local storage");
    return -1;
  }
  if (thread_state::scheduler().current().locals.set(key, value)) return 0;
  PyErr_NoMemory();
  return -1;
}

// --- buffered input and output --------------------------------------------------------

// More than any buffer can hold. ERRORS: true with MemoryError set.
bool exceeds_memory(size_t bytes) noexcept {
  if (bytes <= static_cast<size_t>(PY_SSIZE_T_MAX) / 4) return false;
  PyErr_NoMemory();
  return true;
}

coev_stream* api_stream_new(int fd, size_t buffer_bytes) {
  if (exceeds_memory(buffer_bytes)) return nullptr;
  if (buffer_bytes == 0) buffer_bytes = BufferedStream::kDefaultBytes;
  auto* stream = new (std::nothrow) coev_stream{BufferedStream(fd, nullptr, buffer_bytes)};
  if (stream == nullptr) PyErr_NoMemory();
  return stream;
}

void api_stream_free(coev_stream* stream) { delete stream; }

template <typename Read>
int read(const char** data, size_t* size, Read operation) noexcept {
  std::string_view bytes;
  const int result = block([&] { return operation(&bytes); });
  *data = bytes.data();
  *size = bytes.size();
  return result;
}

int api_stream_read_some(coev_stream* stream, size_t at_most, double timeout, const char** data,
                         size_t* size) {
  const Deadline deadline = deadline_of(timeout);
  return read(data, size, [&](std::string_view* bytes) {
    return stream->stream.read_some(at_most, deadline, bytes);
  });
}

int api_stream_read_exactly(coev_stream* stream, size_t count, double timeout, const char** data) {
  if (exceeds_memory(count)) return -1;
  const Deadline deadline = deadline_of(timeout);
  size_t size = 0;
  return read(data, &size, [&](std::string_view* bytes) {
    return stream->stream.read_exactly(count, deadline, bytes);
  });
}

int api_stream_read_until(coev_stream* stream, const char* delimiter, size_t delimiter_size,
                          size_t limit, double timeout, const char** data, size_t* size) {
  if (delimiter_size == 0) {
    PyErr_SetString(PyExc_ValueError, "delimiter must not be empty");
    return -1;
  }
  const Deadline deadline = deadline_of(timeout);
  return read(data, size, [&](std::string_view* bytes) {
    return stream->stream.read_until({delimiter, delimiter_size}, limit, deadline, bytes);
  });
}

int api_stream_flush(coev_stream* stream, double timeout) {
  const Deadline deadline = deadline_of(timeout);
  return block([&] { return stream->stream.flush(deadline); });
}

// Collecting happens once; only the sending behind it may be repeated.
int api_stream_write(coev_stream* stream, const char* data, size_t size, double timeout) {
  if (!can_block()) return -1;
  const Deadline deadline = deadline_of(timeout);
  thread_state::ensure_scheduler();
  const Status status = stream->stream.write({data, size}, deadline);
  if (status != Status::kInterrupted) return outcome(status);
  return handle_interrupt() ? outcome(wait([&] { return stream->stream.flush(deadline); })) : -1;
}

// --- offload --------------------------------------------------------------------------

class NativeJob final : public offload::Job {
 public:
  NativeJob(void (*function)(void*), void* argument, void (*release)(void*)) noexcept
      : function_(function), argument_(argument), release_(release) {}
  void run() noexcept override { function_(argument_); }
  void discard() noexcept override {
    if (release_ != nullptr) release_(argument_);
    delete this;
  }

 private:
  void (*function_)(void*);
  void* argument_;
  void (*release_)(void*);
};

int api_offload(void (*function)(void*), void* argument, void (*release)(void*), double timeout) {
  auto* job = new (std::nothrow) NativeJob(function, argument, release);
  if (job == nullptr) {
    if (release != nullptr) release(argument);
    PyErr_NoMemory();
    return -1;
  }
  const Deadline deadline = deadline_of(timeout);
  const Status submitted = can_block() ? offload::submit(*job) : Status::kInterrupted;
  if (submitted != Status::kOk) {
    if (submitted == Status::kInterrupted) job->discard();
    raise(submitted);
    return -1;
  }
  const int result = block([&] { return offload::wait(*job, deadline); });
  result == 1 ? job->discard() : offload::abandon(*job);
  return result;
}

constexpr coev_api kTable = {
    COEV_ABI_MAJOR,
    COEV_ABI_MINOR,
    sizeof(coev_api),
    api_current,
    api_spawn,
    api_spawn_native,
    api_join,
    api_yield_now,
    api_sleep,
    api_switch_to,
    api_throw_into,
    api_wait_fd,
    api_forget_fd,
    api_park,
    api_unpark,
    api_waker_new,
    api_waker_wake,
    api_waker_free,
    api_lock_new,
    api_lock_free,
    api_lock_acquire,
    api_lock_release,
    api_local_key,
    api_local_get,
    api_local_set,
    api_stream_new,
    api_stream_free,
    api_stream_read_some,
    api_stream_read_exactly,
    api_stream_read_until,
    api_stream_write,
    api_stream_flush,
    api_offload,
};

}  // namespace

bool add_capsule(PyObject* module) noexcept {
  const Ref capsule =
      Ref::steal(PyCapsule_New(const_cast<coev_api*>(&kTable), COEV_CAPSULE_NAME, nullptr));
  return capsule && PyModule_AddObjectRef(module, "_C_API", capsule.get()) == 0;
}

}  // namespace coev::python
