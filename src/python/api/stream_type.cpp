#include "python/api/stream_type.h"

#include <structmember.h>

#include <new>
#include <string_view>

#include "core/buffer.h"
#include "python/base/arguments.h"
#include "python/base/ref.h"
#include "python/cpython/thread_state.h"
#include "python/waiting/blocking.h"
#include "python/waiting/timeouts.h"

namespace coev::python {
namespace {

struct StreamObject {
  PyObject_HEAD PyObject* weak_references;
  PyObject* socket;  // keeps the fd open; owned
  bool is_number;    // it is a bare file descriptor
  bool reading;      // a coroutine is inside; a second one is an error
  bool writing;
  BufferedStream stream;
};

StreamObject* cast(PyObject* object) noexcept { return reinterpret_cast<StreamObject*>(object); }

PyObject* stream_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"sock", "buffer_size", nullptr};
  PyObject* socket = nullptr;
  Py_ssize_t buffer_size = BufferedStream::kDefaultBytes;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|n:BufferedSocket",
                                   const_cast<char**>(names), &socket, &buffer_size)) {
    return nullptr;
  }
  if (buffer_size < 1) {
    PyErr_SetString(PyExc_ValueError, "buffer_size must be at least 1 byte");
    return nullptr;
  }
  const int fd = parse_fd(socket);
  if (fd < 0) return nullptr;
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  // Without an owner: a file descriptor may be closed behind our back.
  new (&cast(object)->stream) BufferedStream(fd, nullptr, static_cast<std::size_t>(buffer_size));
  cast(object)->socket = Py_NewRef(socket);
  cast(object)->is_number = PyLong_Check(socket);
  return object;
}

int stream_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(cast(object)->socket);
  return 0;
}

int stream_clear(PyObject* object) {
  Py_CLEAR(cast(object)->socket);
  return 0;
}

void stream_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (cast(object)->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  Py_XDECREF(cast(object)->socket);
  cast(object)->stream.~BufferedStream();
  type->tp_free(object);
  Py_DECREF(type);
}

// Marks one direction as in use for the length of a call.
class Exclusive {
 public:
  Exclusive(bool& flag, const char* what) noexcept : flag_(flag), entered_(!flag) {
    if (entered_) {
      flag_ = true;
    } else {
      PyErr_Format(PyExc_RuntimeError, "another coroutine is already %s this stream", what);
    }
  }
  ~Exclusive() {
    if (entered_) flag_ = false;
  }
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;
  explicit operator bool() const noexcept { return entered_; }

 private:
  bool& flag_;
  bool entered_;
};

// A socket that was closed has given its number to somebody else by now.
bool detach_if_closed(StreamObject* self) noexcept {
  if (self->is_number || self->stream.fd() < 0) return true;
  const int fd = parse_fd(self->socket);
  if (fd == self->stream.fd()) return true;
  if (fd < 0 && !PyErr_ExceptionMatches(PyExc_OSError)) return false;
  PyErr_Clear();
  self->stream.detach();
  return true;
}

template <typename Read>
PyObject* read_with(PyObject* object, PyObject* timeout, Read read) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline) || !can_block()) return nullptr;
  const Ref keep = Ref::borrow(object);
  const Exclusive reading(cast(object)->reading, "reading");
  if (!reading || !detach_if_closed(cast(object))) return nullptr;
  thread_state::ensure_scheduler();
  std::string_view bytes;
  const Status status = wait([&] { return read(cast(object)->stream, deadline, &bytes); });
  if (status != Status::kOk) return raise(status);
  return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
}

bool parse_size(PyObject* object, const char* name, std::size_t* size) noexcept {
  const Py_ssize_t value = PyLong_AsSsize_t(object);
  if (value == -1 && PyErr_Occurred()) return false;
  if (value < 0) {
    PyErr_Format(PyExc_ValueError, "%s must not be negative", name);
    return false;
  }
  *size = static_cast<std::size_t>(value);
  return true;
}

constexpr const char* kSizeNames[] = {"n", "timeout", nullptr};

PyObject* stream_read_some(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  PyObject* values[2];
  std::size_t size = BufferedStream::kDefaultBytes;
  if (!parse_arguments("read_some", arguments, count, keywords, kSizeNames, 0, values) ||
      (values[0] != nullptr && !parse_size(values[0], "n", &size))) {
    return nullptr;
  }
  PyObject* bytes =
      read_with(object, values[1], [&](BufferedStream& s, Deadline d, std::string_view* out) {
        return s.read_some(size, d, out);
      });
  if (bytes != nullptr || !PyErr_ExceptionMatches(PyExc_EOFError)) return bytes;
  PyErr_Clear();
  return PyBytes_FromStringAndSize(nullptr, 0);
}

PyObject* stream_read_exactly(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                              PyObject* keywords) {
  PyObject* values[2];
  std::size_t size = 0;
  if (!parse_arguments("read_exactly", arguments, count, keywords, kSizeNames, 1, values) ||
      !parse_size(values[0], "n", &size)) {
    return nullptr;
  }
  return read_with(object, values[1], [&](BufferedStream& s, Deadline d, std::string_view* out) {
    return s.read_exactly(size, d, out);
  });
}

PyObject* stream_read_until(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                            PyObject* keywords) {
  static constexpr const char* kNames[] = {"delimiter", "limit", "timeout", nullptr};
  PyObject* values[3];
  std::size_t limit = 64 * 1024;
  if (!parse_arguments("read_until", arguments, count, keywords, kNames, 1, values) ||
      (values[1] != nullptr && !parse_size(values[1], "limit", &limit))) {
    return nullptr;
  }
  char* delimiter = nullptr;
  Py_ssize_t length = 0;
  if (PyBytes_AsStringAndSize(values[0], &delimiter, &length) < 0) return nullptr;
  if (length == 0) {
    PyErr_SetString(PyExc_ValueError, "delimiter must not be empty");
    return nullptr;
  }
  const std::string_view wanted(delimiter, static_cast<std::size_t>(length));
  const Ref keep = Ref::borrow(values[0]);
  return read_with(object, values[2], [&](BufferedStream& s, Deadline d, std::string_view* out) {
    return s.read_until(wanted, limit, d, out);
  });
}

template <typename Write>
PyObject* write_with(PyObject* object, PyObject* timeout, Write write) noexcept {
  Deadline deadline = Deadline::never();
  if (!parse_timeout(timeout, &deadline) || !can_block()) return nullptr;
  const Ref keep = Ref::borrow(object);
  const Exclusive writing(cast(object)->writing, "writing");
  if (!writing || !detach_if_closed(cast(object))) return nullptr;
  thread_state::ensure_scheduler();
  const Status status = write(cast(object)->stream, deadline);
  if (status != Status::kOk) return raise(status);
  Py_RETURN_NONE;
}

PyObject* stream_write(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  static constexpr const char* kNames[] = {"data", "timeout", nullptr};
  PyObject* values[2];
  if (!parse_arguments("write", arguments, count, keywords, kNames, 1, values)) return nullptr;
  Py_buffer view;
  if (PyObject_GetBuffer(values[0], &view, PyBUF_SIMPLE) < 0) return nullptr;
  const std::string_view bytes(static_cast<const char*>(view.buf),
                               static_cast<std::size_t>(view.len));
  // Collecting happens once; only the sending behind it may be repeated.
  PyObject* result = write_with(object, values[1], [&](BufferedStream& stream, Deadline deadline) {
    const Status status = stream.write(bytes, deadline);
    if (status != Status::kInterrupted || !handle_interrupt()) return status;
    return wait([&] { return stream.flush(deadline); });
  });
  PyBuffer_Release(&view);
  return result;
}

PyObject* stream_flush(PyObject* object, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  static constexpr const char* kNames[] = {"timeout", nullptr};
  PyObject* timeout = nullptr;
  if (!parse_arguments("flush", arguments, count, keywords, kNames, 0, &timeout)) return nullptr;
  return write_with(object, timeout, [&](BufferedStream& stream, Deadline deadline) {
    return wait([&] { return stream.flush(deadline); });
  });
}

PyObject* stream_fileno(PyObject* object, PyObject*) {
  return PyLong_FromLong(cast(object)->stream.fd());
}

PyObject* stream_unread(PyObject* object, void*) {
  return PyLong_FromSize_t(cast(object)->stream.unread());
}
PyObject* stream_unsent(PyObject* object, void*) {
  return PyLong_FromSize_t(cast(object)->stream.unsent());
}

PyMethodDef stream_methods[] = {
    {"read_some", as_method(stream_read_some), METH_FASTCALL | METH_KEYWORDS,
     "read_some($self, n=16384, timeout=None)\n--\n\n"
     "Return 1 to *n* bytes, or b'' at the end of the "
     "stream.\n\nSwitches: only if nothing is there yet.\n\n:raises TimeoutError: nothing came."},
    {"read_exactly", as_method(stream_read_exactly), METH_FASTCALL | METH_KEYWORDS,
     "read_exactly($self, n, timeout=None)\n--\n\nReturn exactly *n* bytes.\n\n"
     "Switches: only if they are not there yet.\n\n"
     ":raises EOFError: the stream ended first; what came stays readable.\n"
     ":raises TimeoutError: they did not come in time; nothing is lost."},
    {"read_until", as_method(stream_read_until), METH_FASTCALL | METH_KEYWORDS,
     "read_until($self, delimiter, limit=65536, timeout=None)\n--\n\n"
     "Return the bytes up to and with "
     "*delimiter*.\n\nSwitches: only if it is not there yet.\n\n"
     ":raises ValueError: it is not among the next *limit* bytes.\n"
     ":raises EOFError: the stream ended first; what came stays readable.\n"
     ":raises TimeoutError: it did not come in time; nothing is lost."},
    {"write", as_method(stream_write), METH_FASTCALL | METH_KEYWORDS,
     "write($self, data, timeout=None)\n--\n\n"
     "Collect *data*; sends when more than the buffer size is "
     "collected.\n\nSwitches: only if it sends and the kernel's buffer is full.\n\n"
     ":raises TimeoutError: not all was sent in time; flush() goes on."},
    {"flush", as_method(stream_flush), METH_FASTCALL | METH_KEYWORDS,
     "flush($self, timeout=None)\n--\n\nSend what write() has collected.\n\n"
     "Switches: only if the kernel's buffer is full."},
    {"fileno", stream_fileno, METH_NOARGS, "fileno($self)\n--\n\nThe file descriptor."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef stream_attributes[] = {
    {"unread", stream_unread, nullptr, "Bytes received and not read yet.", nullptr},
    {"unsent", stream_unsent, nullptr, "Bytes written and not sent yet.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef stream_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(StreamObject, weak_references), READONLY, nullptr},
    {"socket", T_OBJECT, offsetof(StreamObject, socket), READONLY,
     "The object the stream was made for."},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot stream_slots[] = {
    {Py_tp_doc, const_cast<char*>("BufferedSocket(sock, buffer_size=16384)\n--\n\nBuffered reading "
                                  "and writing over a stream socket (or its file descriptor), for "
                                  "protocol code. One coroutine may read and one may write at a "
                                  "time. It does not close the socket.")},
    {Py_tp_new, reinterpret_cast<void*>(stream_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(stream_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(stream_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(stream_clear)},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, stream_attributes},
    {Py_tp_members, stream_members},
    {0, nullptr}};

PyType_Spec stream_spec = {"coev.BufferedSocket", sizeof(StreamObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, stream_slots};

}  // namespace

bool add_stream_type(PyObject* module) noexcept {
  const Ref type = Ref::steal(PyType_FromSpec(&stream_spec));
  return type && PyModule_AddObjectRef(module, "BufferedSocket", type.get()) == 0;
}

}  // namespace coev::python
