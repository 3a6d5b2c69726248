#include "python/monkey/tls/ssl_methods.h"

#include <Python.h>
#include <poll.h>

#include <string_view>
#include <utility>

#include "core/patience.h"
#include "core/readiness.h"
#include "core/scheduler.h"
#include "python/base/buffer_view.h"
#include "python/base/module_hook.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/sockets/socket_layout.h"
#include "python/monkey/sockets/socket_methods.h"
#include "python/monkey/tls/openssl_errors.h"
#include "python/monkey/tls/socket_stand_in.h"
#include "python/monkey/tls/ssl_connection.h"
#include "python/waiting/acquiring.h"
#include "python/waiting/blocking.h"
#include "python/waiting/hidden_nonblocking.h"

namespace coev::python::ssl_methods {
namespace {

struct Originals {
  Original do_handshake, read, write, sendfile, shutdown, pending;
};
Originals g_original;
PyTypeObject* g_type = nullptr;  // of which copy of the module they are

constexpr const char* kWriteTimedOut = "The write operation timed out";
constexpr const char* kSendfileTimedOut = "The sendfile operation timed out";

// The socket object under `ssl` if the coroutine may have to wait for it. Empty:
// the original should deal with it, for it does not wait, or fails.
Ref blocking_socket(PyObject* ssl) noexcept {
  Ref object = Ref::borrow(socket_of(ssl));
  if (!object) return {};
  const SocketFields& socket = socket_fields(object.get());
  if (socket.fd < 0 || !socket.blocks()) return {};
  if (is_closed()) {
    hidden_nonblocking::restore(socket.fd);  // the original would spin
    return {};
  }
  return object;
}

// Keeps everybody else out of an SSL object.
class Inside {
 public:
  Inside(SslConnection& connection, Deadline deadline) noexcept
      : lock_(connection.inside), owner_(lock_owner()) {
    if (lock_.acquire_free(owner_)) [[likely]]
      return;
    if (!can_block()) {
      status_ = Status::kInterrupted;
      return;
    }
    thread_state::ensure_scheduler();
    status_ = wait([&] { return lock_.acquire(owner_, deadline); });
  }
  ~Inside() {
    if (status_ == Status::kOk) static_cast<void>(lock_.release(owner_));
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  [[nodiscard]] Status status() const noexcept { return status_; }

 private:
  RecursiveLock& lock_;
  const RecursiveLock::Owner owner_;
  Status status_ = Status::kOk;
};

// REQUIRES: nobody else is inside. `arguments` are borrowed.
PyObject* call_inside(const Original& original, PyObject* ssl, PyObject* const* arguments,
                      Py_ssize_t count) noexcept {
  OpensslErrors::clear();
  PyObject* result = original(ssl, arguments, count);
  if (result == nullptr) OpensslErrors::clear();
  return result;
}

PyObject* call_original(const Original& original, PyObject* ssl, PyObject* const* arguments,
                        Py_ssize_t count) noexcept {
  if (is_closed()) return original(ssl, arguments, count);
  const Inside inside(SslConnection::of(ssl), Deadline::never());
  if (inside.status() != Status::kOk) return raise(inside.status());
  return call_inside(original, ssl, arguments, count);
}

// --- one call -------------------------------------------------------------------------

// A call of a method on behalf of the current coroutine: the original is tried
// without waiting until it need not wait.
class Operation {
 public:
  // All is borrowed. `timed_out`: what to say; nullptr if the original says it.
  Operation(const Original& original, PyObject* ssl, PyObject* socket, PyObject* const* arguments,
            Py_ssize_t count, const char* timed_out = nullptr) noexcept
      : original_(original),
        ssl_(ssl),
        socket_(socket),
        arguments_(arguments),
        count_(count),
        timed_out_(timed_out),
        connection_(SslConnection::of(ssl)),
        deadline_(socket_fields(socket).deadline()) {}

  [[nodiscard]] SslConnection& connection() noexcept { return connection_; }
  [[nodiscard]] Deadline deadline() const noexcept { return deadline_; }
  // Whether OpenSSL has begun something that it could not end at once.
  [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }

  // Waits for `event` before the first attempt, unless it is 0.
  PyObject* run(unsigned event = 0) noexcept {
    thread_state::ensure_scheduler();
    const Status quota = wait([] { return thread_state::scheduler().spend_quota(); });
    if (quota != Status::kOk) return raise(quota);
    Patience patience(thread_state::scheduler());
    for (;;) {
      if (event != 0) {
        const Status ready = socket_methods::wait_ready(socket_, event, deadline_, patience);
        if (ready == Status::kTimedOut) return finish(expire());
        if (ready != Status::kOk) return finish(raise(ready));
      }
      PyObject* result = attempt(0, &event);
      if (event == 0) return finish(result);
      connection_.drained = false;
      has_begun_ = true;
    }
  }

 private:
  // Less than any wait takes, so that the original says how it timed out.
  static constexpr std::int64_t kNoTimeNs = 1;

  // New reference; or nullptr, with `*event` to wait for or, if that is 0, with an
  // exception set.
  PyObject* attempt(std::int64_t timeout_ns, unsigned* event) noexcept {
    *event = 0;
    const Inside inside(connection_, deadline_);
    if (inside.status() != Status::kOk) return raise(inside.status());
    const SocketFields& socket = socket_fields(socket_);
    if (socket.fd < 0) return raise(Status::kClosed);
    if (socket.timeout_ns < 0 && !hidden_nonblocking::is_set(socket.fd) &&
        !hidden_nonblocking::set(socket.fd)) {
      return raise(Status::kSystemError);
    }
    const SocketStandIn stand_in(ssl_, socket_, timeout_ns);
    if (!stand_in) return nullptr;
    PyObject* result = call_inside(original_, ssl_, arguments_, count_);
    if (result == nullptr) *event = take_want();
    if (result != stand_in.object()) return result;
    Py_DECREF(result);
    return Py_NewRef(socket_);
  }

  PyObject* expire() noexcept {
    if (timed_out_ != nullptr) {
      PyErr_SetString(PyExc_TimeoutError, timed_out_);
      return nullptr;
    }
    unsigned event = 0;
    PyObject* result = attempt(kNoTimeNs, &event);
    return event == 0 ? result : raise(Status::kTimedOut);
  }

  // What the exception that is set wants to wait for; it is then taken off. 0 for
  // any other exception.
  unsigned take_want() noexcept {
    const Ref error = Ref::steal(thread_state::take_exception());
    const unsigned event = is_a(error.get(), "SSLWantReadError")    ? kReadable
                           : is_a(error.get(), "SSLWantWriteError") ? kWritable
                                                                    : 0U;
    if (event == 0) {
      thread_state::restore_exception(error.get());
      return 0;
    }
    Ref context = Ref::steal(PyException_GetContext(error.get()));
    const Ref handled = Ref::steal(PyErr_GetHandledException());
    if (context && context.get() != handled.get()) from_callback_ = std::move(context);
    return event;
  }

  // Every copy of the module has classes of its own.
  bool is_a(PyObject* error, const char* name) const noexcept {
    PyObject* module = PyType_GetModule(Py_TYPE(ssl_));  // borrowed
    const Ref type = Ref::steal(module == nullptr ? nullptr : PyObject_GetAttrString(module, name));
    if (!type) PyErr_Clear();
    return type && reinterpret_cast<PyObject*>(Py_TYPE(error)) == type.get();
  }

  // A callback's exception comes out at the end, as the original would have it.
  PyObject* finish(PyObject* result) noexcept {
    if (!from_callback_) return result;
    if (result == nullptr) {
      const Ref error = Ref::steal(thread_state::take_exception());
      PyException_SetContext(error.get(), from_callback_.release());
      thread_state::restore_exception(error.get());
      return nullptr;
    }
    Py_DECREF(result);
    thread_state::restore_exception(from_callback_.get());
    return nullptr;
  }

  const Original& original_;
  PyObject* const ssl_;
  PyObject* const socket_;
  PyObject* const* const arguments_;
  const Py_ssize_t count_;
  const char* const timed_out_;
  SslConnection& connection_;
  const Deadline deadline_;
  Ref from_callback_;
  bool has_begun_ = false;
};

// Calls `_ssl_class.patch()`: before the first handshake ssl.SSLSocket is sure to be
// there, and not used yet.
PyObject* g_patch_class = nullptr;  // nullptr when it is done

void patch_class() noexcept {
  if (g_patch_class == nullptr) [[likely]]
    return;
  const Ref function = Ref::steal(std::exchange(g_patch_class, nullptr));
  const Ref done = Ref::steal(PyObject_CallNoArgs(function.get()));
  if (!done) PyErr_WriteUnraisable(function.get());  // everything works without it
}

PyObject* replaced_do_handshake(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                                PyObject*) {
  const Ref socket = blocking_socket(self);
  if (!socket) return call_original(g_original.do_handshake, self, arguments, count);
  patch_class();
  Operation handshake(g_original.do_handshake, self, socket.get(), arguments, count);
  handshake.connection().drained = false;
  return handshake.run();
}

PyObject* replaced_pending(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                           PyObject*) {
  return call_original(g_original.pending, self, arguments, count);
}

// --- read -----------------------------------------------------------------------------

constexpr std::size_t kFullRecordBytes = 16384;  // the most that TLS puts into one

bool has_pending(PyObject* ssl) noexcept {
  const Ref pending = Ref::steal(call_original(g_original.pending, ssl, nullptr, 0));
  if (!pending) PyErr_Clear();
  return !pending || PyLong_AsLong(pending.get()) != 0;
}

// A short record is most often the last of a message, and then an attempt to read
// the next one costs a system call and an exception, which is most of what a
// request costs. Of a stream of full records the next one is most often there.
void note_read(SslConnection& connection, PyObject* ssl, std::size_t asked,
               std::size_t count) noexcept {
  connection.record_bytes += count;
  connection.drained = false;
  if (count == asked && has_pending(ssl)) return;
  connection.drained = count > 0 && connection.record_bytes < kFullRecordBytes;
  connection.record_bytes = 0;
}

// `asked` is not 0.
PyObject* read_some(PyObject* self, PyObject* socket, PyObject* const* arguments, Py_ssize_t count,
                    std::size_t asked) noexcept {
  Operation reading(g_original.read, self, socket, arguments, count);
  SslConnection& connection = reading.connection();
  PyObject* result = reading.run(connection.drained ? kReadable : 0);
  if (result == nullptr) {
    connection.drained = false;
    return nullptr;
  }
  note_read(connection, self, asked,
            static_cast<std::size_t>(PyBytes_Check(result) ? PyBytes_GET_SIZE(result)
                                                           : PyLong_AsSsize_t(result)));
  return result;
}

PyObject* replaced_read(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  const auto original = [&] {
    PyErr_Clear();
    return call_original(g_original.read, self, arguments, count);
  };
  const Ref socket = blocking_socket(self);
  if (!socket || count < 1 || count > 2) return original();
  const Py_ssize_t bytes = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
  if (bytes == -1 && PyErr_Occurred()) return original();
  if (count == 1) {
    if (bytes <= 0) return original();
    return read_some(self, socket.get(), arguments, count, static_cast<std::size_t>(bytes));
  }
  const BufferView buffer(arguments[1], PyBUF_WRITABLE);
  if (!buffer || buffer.size() == 0) return original();
  const bool fits = bytes > 0 && static_cast<std::size_t>(bytes) <= buffer.size();
  return read_some(self, socket.get(), arguments, count,
                   fits ? static_cast<std::size_t>(bytes) : buffer.size());
}

// --- write and shutdown ---------------------------------------------------------------

// Keeps every other writer waiting until what OpenSSL has encrypted is sent.
class Writing {
 public:
  Writing(SslConnection& connection, Deadline deadline) noexcept : lock_(connection.writing) {
    if (lock_.acquire_free()) [[likely]]
      return;
    thread_state::ensure_scheduler();
    status_ = wait([&] { return lock_.acquire(deadline); });
  }
  ~Writing() {
    if (status_ == Status::kOk) static_cast<void>(lock_.release());
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  explicit operator bool() const noexcept { return status_ == Status::kOk; }
  // Always returns nullptr.
  PyObject* raise_status() const noexcept {
    if (status_ != Status::kTimedOut) return raise(status_);
    PyErr_SetString(PyExc_TimeoutError, kWriteTimedOut);
    return nullptr;
  }

 private:
  Lock& lock_;
  Status status_ = Status::kOk;
};

// Lets OpenSSL judge other bytes than those of a write that was given up: a write
// of nothing fails if some of those are still to be sent, and the connection with
// it. `write` writes its one argument. False with an exception set.
template <typename Write>
bool may_write_anew(UnfinishedWrite& unfinished, Write write) noexcept {
  const Ref nothing = Ref::steal(PyBytes_FromStringAndSize(nullptr, 0));
  PyObject* argument = nothing.get();
  const Ref result = Ref::steal(argument == nullptr ? nullptr : write(&argument));
  if (result) unfinished.forget();
  return static_cast<bool>(result);
}

// On a socket that does not wait, which may go on with a write begun when it did.
PyObject* write_at_once(PyObject* self, PyObject* const* arguments, Py_ssize_t count) noexcept {
  const auto write = [&](PyObject* const* values) {
    return call_original(g_original.write, self, values, count);
  };
  UnfinishedWrite& unfinished = SslConnection::of(self).unfinished;
  if (!unfinished || count != 1) return write(arguments);
  const BufferView data(arguments[0], PyBUF_SIMPLE);
  if (!data) {
    PyErr_Clear();
    return write(arguments);  // says what is wrong
  }
  if (!unfinished.is_continued_by({data.bytes(), data.size()}) &&
      !may_write_anew(unfinished, write)) {
    return nullptr;
  }
  PyObject* result = write(arguments);
  if (result != nullptr) unfinished.forget();
  return result;
}

// As the original, which on a socket with a timeout encrypts nothing before there
// is room. One that has none finds out itself.
unsigned event_before_write(const SocketFields& socket) noexcept {
  if (socket.timeout_ns < 0) return 0;
  pollfd room{socket.fd, POLLOUT, 0};
  return poll(&room, 1, 0) == 0 ? kWritable : 0;
}

PyObject* replaced_write(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject*) {
  const Ref socket = count == 1 ? blocking_socket(self) : Ref();
  if (!socket) return write_at_once(self, arguments, count);
  const BufferView data(arguments[0], PyBUF_SIMPLE);
  if (!data) {
    PyErr_Clear();
    return call_original(g_original.write, self, arguments, count);  // says what is wrong
  }
  const std::string_view bytes(data.bytes(), data.size());
  Operation operation(g_original.write, self, socket.get(), arguments, count, kWriteTimedOut);
  UnfinishedWrite& unfinished = operation.connection().unfinished;
  const Writing writing(operation.connection(), operation.deadline());
  if (!writing) return writing.raise_status();
  const auto write = [&](PyObject* const* values) {
    return Operation(g_original.write, self, socket.get(), values, 1, kWriteTimedOut).run();
  };
  if (unfinished && !unfinished.is_continued_by(bytes) && !may_write_anew(unfinished, write)) {
    return nullptr;
  }
  PyObject* result = operation.run(event_before_write(socket_fields(socket.get())));
  if (result != nullptr) {
    unfinished.forget();
  } else if (operation.has_begun()) {
    unfinished.remember(bytes);
  }
  return result;
}

// From 3.15 on, where the kernel encrypts: nothing is left behind by one given up.
PyObject* replaced_sendfile(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject*) {
  const Ref socket = blocking_socket(self);
  if (!socket) return call_original(g_original.sendfile, self, arguments, count);
  Operation operation(g_original.sendfile, self, socket.get(), arguments, count, kSendfileTimedOut);
  const Writing writing(operation.connection(), operation.deadline());
  if (!writing) return writing.raise_status();
  return operation.run(event_before_write(socket_fields(socket.get())));
}

PyObject* replaced_shutdown(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject*) {
  const Ref socket = blocking_socket(self);
  if (!socket) return call_original(g_original.shutdown, self, arguments, count);
  Operation shutdown(g_original.shutdown, self, socket.get(), arguments, count);
  const Writing writing(shutdown.connection(), shutdown.deadline());
  if (!writing) return writing.raise_status();
  shutdown.connection().drained = false;
  PyObject* result = shutdown.run();
  // In plain text again, nothing needs the mode any more.
  if (result != nullptr) hidden_nonblocking::restore(socket_fields(socket.get()).fd);
  return result;
}

// --- installing -----------------------------------------------------------------------

bool install_into(PyObject* module) noexcept {
  const Ref type = Ref::steal(PyObject_GetAttrString(module, "_SSLSocket"));
  if (!type) return false;
  SslConnection::drop_with_objects_of(reinterpret_cast<PyTypeObject*>(type.get()));
  Originals& o = g_original;
  if (o.read) return true;  // another copy of the module has the same table of methods
  g_type = reinterpret_cast<PyTypeObject*>(Py_NewRef(type.get()));
  OpensslErrors::find(module);
  return retarget<replaced_do_handshake>(type.get(), "do_handshake", &o.do_handshake) &&
         retarget<replaced_write>(type.get(), "write", &o.write) &&
         retarget<replaced_sendfile>(type.get(), "sendfile", &o.sendfile) &&
         retarget<replaced_shutdown>(type.get(), "shutdown", &o.shutdown) &&
         retarget<replaced_pending>(type.get(), "pending", &o.pending) &&
         retarget<replaced_read>(type.get(), "read", &o.read);
}

}  // namespace

bool install() noexcept {
  if (g_patch_class != nullptr || g_original.read) return true;
  // Now, for by the first handshake a server may have given up the right to read it.
  const Ref module = Ref::steal(PyImport_ImportModule("coev._ssl_class"));
  g_patch_class = module ? PyObject_GetAttrString(module.get(), "patch") : nullptr;
  return g_patch_class != nullptr && when_loaded("_ssl", install_into);
}

bool is_connection(PyTypeObject* type) noexcept { return type == g_type; }

PyObject* read(PyObject* connection, PyObject* const* arguments, Py_ssize_t count) noexcept {
  return replaced_read(connection, arguments, count, nullptr);
}

PyObject* write(PyObject* connection, PyObject* data) noexcept {
  return replaced_write(connection, &data, 1, nullptr);
}

}  // namespace coev::python::ssl_methods
