#include "python/monkey/files/descriptor_io.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "python/base/arguments.h"
#include "python/base/buffer_view.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/monkey/files/descriptor.h"
#include "python/waiting/blocking.h"

namespace coev::python::descriptor_io {
namespace {

struct Originals {
  Original read, readv, write, writev, sendfile, splice, eventfd_read, eventfd_write, open;
};
Originals g_original;

// The descriptor that an argument names. What is none is for the original to
// complain about, and so is what need not wait: -1.
int descriptor_of(PyObject* number) noexcept {
  int fd = -1;
  if (parse_int(number, &fd) && may_block()) return fd;
  PyErr_Clear();
  return -1;
}

PyObject* error_of(Py_ssize_t result) noexcept {
  if (result == Descriptor::kFailed) return nullptr;
  errno = EAGAIN;
  return PyErr_SetFromErrno(PyExc_OSError);
}

// --- read and write ---------------------------------------------------------------------

PyObject* replaced_read(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  const auto original = [&] { return g_original.read(self, arguments, count, keywords); };
  if (count != 2) return original();
  const int fd = descriptor_of(arguments[0]);
  const Py_ssize_t bytes = fd < 0 ? 0 : PyNumber_AsSsize_t(arguments[1], PyExc_OverflowError);
  if (bytes <= 0) {
    PyErr_Clear();
    return original();
  }
  PyObject* result = PyBytes_FromStringAndSize(nullptr, bytes);
  if (result == nullptr) return nullptr;
  iovec buffer{PyBytes_AS_STRING(result), static_cast<std::size_t>(bytes)};
  const Py_ssize_t got = Descriptor(fd).read(&buffer, 1);
  if (got < 0) {
    Py_DECREF(result);
    return got == Descriptor::kDirect ? original() : error_of(got);
  }
  if (got < bytes) _PyBytes_Resize(&result, got);
  return result;
}

PyObject* replaced_write(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  const auto original = [&] { return g_original.write(self, arguments, count, keywords); };
  if (count != 2) return original();
  Descriptor descriptor(descriptor_of(arguments[0]));
  if (!descriptor.waits()) return original();
  const BufferView data(arguments[1], PyBUF_SIMPLE);
  if (!data || data.size() == 0) {
    PyErr_Clear();
    return original();
  }
  iovec buffer{data.bytes(), data.size()};
  Py_ssize_t written = 0;
  const Py_ssize_t result = descriptor.write(&buffer, 1, &written);
  return result >= 0 ? PyLong_FromSsize_t(result) : error_of(result);
}

// The buffers of readv() and writev().
class Buffers {
 public:
  Buffers() = default;
  ~Buffers() {
    for (Py_buffer& view : views_) PyBuffer_Release(&view);
  }
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

  // False if the original would not take them either, or has nothing to do.
  [[nodiscard]] bool assign(PyObject* sequence, int flags) noexcept {
    const Ref items = Ref::steal(PySequence_Check(sequence) ? PySequence_List(sequence) : nullptr);
    const bool complete = items && PyList_GET_SIZE(items.get()) <= IOV_MAX && add(items, flags);
    PyErr_Clear();
    return complete && std::any_of(vectors_.begin(), vectors_.end(),
                                   [](const iovec& vector) { return vector.iov_len > 0; });
  }
  [[nodiscard]] iovec* vectors() noexcept { return vectors_.data(); }
  [[nodiscard]] int count() const noexcept { return static_cast<int>(vectors_.size()); }

 private:
  bool add(const Ref& items, int flags) noexcept {
    const Py_ssize_t count = PyList_GET_SIZE(items.get());
    views_.reserve(static_cast<std::size_t>(count));
    for (Py_ssize_t i = 0; i < count; ++i) {
      Py_buffer view;
      if (PyObject_GetBuffer(PyList_GET_ITEM(items.get(), i), &view, flags) != 0) return false;
      views_.push_back(view);
      vectors_.push_back({view.buf, static_cast<std::size_t>(view.len)});
    }
    return true;
  }

  std::vector<Py_buffer> views_;
  std::vector<iovec> vectors_;
};

PyObject* replaced_readv(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                         PyObject* keywords) {
  const auto original = [&] { return g_original.readv(self, arguments, count, keywords); };
  if (count != 2) return original();
  Descriptor descriptor(descriptor_of(arguments[0]));
  Buffers buffers;
  if (!descriptor.waits() || !buffers.assign(arguments[1], PyBUF_WRITABLE)) return original();
  const Py_ssize_t got = descriptor.read(buffers.vectors(), buffers.count());
  return got >= 0 ? PyLong_FromSsize_t(got) : error_of(got);
}

PyObject* replaced_writev(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  const auto original = [&] { return g_original.writev(self, arguments, count, keywords); };
  if (count != 2) return original();
  Descriptor descriptor(descriptor_of(arguments[0]));
  Buffers buffers;
  if (!descriptor.waits() || !buffers.assign(arguments[1], PyBUF_SIMPLE)) return original();
  Py_ssize_t written = 0;
  const Py_ssize_t result = descriptor.write(buffers.vectors(), buffers.count(), &written);
  return result >= 0 ? PyLong_FromSsize_t(result) : error_of(result);
}

// Waits for `event` of an end that may have to; true at once where the user asked
// not to wait. False with an exception set.
bool wait_for_end(Descriptor& end, unsigned event) noexcept {
  return !end.waits() || end.nonblocking() || end.wait_until(event);
}

// eventfd_read and eventfd_write: the original when it is ready.
template <Original Originals::*original, unsigned event>
PyObject* when_ready(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) {
  static constexpr const char* kNames[] = {"fd", "value", nullptr};
  PyObject* values[2];
  if (!parse_arguments("eventfd", arguments, count, keywords, kNames, 1, values)) {
    PyErr_Clear();
  } else {
    Descriptor descriptor(descriptor_of(values[0]));
    if (!wait_for_end(descriptor, event)) return nullptr;
  }
  return (g_original.*original)(self, arguments, count, keywords);
}

// --- sendfile and splice ------------------------------------------------------------------

Py_ssize_t taken(const Ref& result) noexcept {
  return result ? PyLong_AsSsize_t(result.get()) : Descriptor::kFailed;
}

// Sends to a socket as often as it takes to send all, which the kernel does for
// one that blocks. Each time no more than the socket has room for.
Py_ssize_t send_file(PyObject* self, PyObject* out, PyObject* in, PyObject* offset,
                     Py_ssize_t bytes, Descriptor& end) noexcept {
  Py_ssize_t sent = 0;
  do {
    if (!wait_for_end(end, kWritable)) return Descriptor::kFailed;
    const auto room = static_cast<Py_ssize_t>(std::min(end.room(), std::size_t{SSIZE_MAX}));
    const Ref size = Ref::steal(PyLong_FromSsize_t(std::min(bytes - sent, room)));
    const Ref already = Ref::steal(PyLong_FromSsize_t(sent));
    const Ref from =
        Ref::steal(offset == Py_None ? Py_NewRef(Py_None) : PyNumber_Add(offset, already.get()));
    if (!size || !already || !from) return Descriptor::kFailed;
    PyObject* arguments[] = {out, in, from.get(), size.get()};
    const Py_ssize_t now =
        taken(Ref::steal(g_original.sendfile(self, arguments, std::size(arguments))));
    if (now < 0 && sent > 0) PyErr_Clear();
    if (now <= 0) return sent > 0 ? sent : now;
    sent += now;
  } while (sent < bytes && end.is_socket());
  return sent;
}

PyObject* replaced_sendfile(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject* keywords) {
  static constexpr const char* kNames[] = {"out_fd", "in_fd", "offset", "count", nullptr};
  const auto original = [&] { return g_original.sendfile(self, arguments, count, keywords); };
  PyObject* values[4];
  if (!parse_arguments("sendfile", arguments, count, keywords, kNames, 4, values)) {
    PyErr_Clear();
    return original();
  }
  Descriptor out(descriptor_of(values[0]));
  const Py_ssize_t bytes = PyNumber_AsSsize_t(values[3], nullptr);
  if (bytes <= 0 || !out.waits() || out.nonblocking()) {
    PyErr_Clear();
    return original();
  }
  const Py_ssize_t sent = send_file(self, values[0], values[1], values[2], bytes, out);
  return sent < 0 ? nullptr : PyLong_FromSsize_t(sent);
}

constexpr std::int64_t kSpliceRetryNs = 1'000'000;

// With SPLICE_F_NONBLOCK the pipe among the two does not block, and a socket does
// not when it is ready for what it is given.
PyObject* splice_when_ready(PyObject* self, PyObject** values, Py_ssize_t count, Descriptor in,
                            Descriptor out) noexcept {
  const Py_ssize_t bytes = PyLong_AsSsize_t(values[2]);
  for (;;) {
    if (!wait_for_end(in, kReadable) || !wait_for_end(out, kWritable)) return nullptr;
    const auto room = static_cast<Py_ssize_t>(std::min(out.room(), std::size_t{SSIZE_MAX}));
    const Ref size = Ref::steal(PyLong_FromSsize_t(std::min(bytes, room)));
    if (!size) return nullptr;
    values[2] = size.get();
    PyObject* result = g_original.splice(self, values, count);
    if (result != nullptr || !PyErr_ExceptionMatches(PyExc_BlockingIOError) || in.nonblocking() ||
        out.nonblocking()) {
      return result;
    }
    PyErr_Clear();  // somebody else was faster, or the end that was ready first is not any more
    Scheduler& scheduler = thread_state::scheduler();
    const Status status =
        wait([&] { return scheduler.sleep_until(Deadline::after(kSpliceRetryNs)); });
    if (status != Status::kTimedOut) return raise(status);
  }
}

PyObject* replaced_splice(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  static constexpr const char* kNames[] = {"src",        "dst",   "count", "offset_src",
                                           "offset_dst", "flags", nullptr};
  const auto original = [&] { return g_original.splice(self, arguments, count, keywords); };
  PyObject* values[6];
  int flags = 0;
  if (!parse_arguments("splice", arguments, count, keywords, kNames, 3, values) ||
      !PyLong_Check(values[2]) || (values[5] != nullptr && !parse_int(values[5], &flags)) ||
      PyLong_AsSsize_t(values[2]) <= 0 || (flags & SPLICE_F_NONBLOCK) != 0) {
    PyErr_Clear();
    return original();
  }
  Descriptor in(descriptor_of(values[0]));
  Descriptor out(descriptor_of(values[1]));
  if (!in.is_pipe() && !out.is_pipe()) return original();  // refuses
  const Ref all_flags = Ref::steal(PyLong_FromLong(flags | SPLICE_F_NONBLOCK));
  if (!all_flags) return nullptr;
  for (int i = 3; i < 5; ++i) {
    if (values[i] == nullptr) values[i] = Py_None;
  }
  values[5] = all_flags.get();
  return splice_when_ready(self, values, std::size(values), in, out);
}

// --- opening a FIFO -------------------------------------------------------------------------

constexpr std::int64_t kFirstLookNs = 1'000'000;
constexpr std::int64_t kLongestLookNs = 16'000'000;

// Sleeps, longer each time, and less if there is something to read on `fd`.
// False with an exception set.
bool look_later(int fd, std::int64_t* interval_ns) noexcept {
  Scheduler& scheduler = thread_state::scheduler();
  const Deadline deadline = Deadline::after(*interval_ns);
  *interval_ns = std::min(2 * *interval_ns, kLongestLookNs);
  const Status status = wait([&] {
    return fd < 0 ? scheduler.sleep_until(deadline)
                  : scheduler.readiness().wait(fd, kReadable, deadline, nullptr, nullptr);
  });
  if (status == Status::kOk || status == Status::kTimedOut) return true;
  raise(status);
  return false;
}

// Opening to write fails with ENXIO while nobody reads.
template <typename Open>
PyObject* open_to_write(Open open) noexcept {
  for (std::int64_t interval_ns = kFirstLookNs;;) {
    PyObject* fd = open();
    if (fd != nullptr || !PyErr_ExceptionMatches(PyExc_OSError)) return fd;
    const Ref error = Ref::steal(thread_state::take_exception());
    const Ref number = Ref::steal(PyObject_GetAttrString(error.get(), "errno"));
    if (!number || PyLong_AsLong(number.get()) != ENXIO) {
      thread_state::set_exception(error.get());
      return nullptr;
    }
    if (!look_later(-1, &interval_ns)) return nullptr;
  }
}

template <typename Open>
PyObject* open_to_read(Open open) noexcept {
  Ref fd = Ref::steal(open());
  if (!fd) return nullptr;
  const Descriptor fifo(static_cast<int>(PyLong_AsLong(fd.get())));
  for (std::int64_t interval_ns = kFirstLookNs; !fifo.is_ready(kReadable) && !fifo.has_writer();) {
    if (look_later(fifo.fd(), &interval_ns)) continue;
    close(fifo.fd());
    return nullptr;
  }
  return fd.release();
}

constexpr long kDefaultMode = 0777;

PyObject* replaced_open(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  static constexpr const char* kNames[] = {"path", "flags", "mode", "dir_fd", nullptr};
  const auto original = [&] { return g_original.open(self, arguments, count, keywords); };
  PyObject* values[4];
  int flags = 0;
  int directory = AT_FDCWD;
  if (!parse_arguments("open", arguments, count, keywords, kNames, 2, values) ||
      !parse_int(values[1], &flags) || (flags & O_NONBLOCK) != 0 || (flags & O_ACCMODE) == O_RDWR ||
      (values[3] != nullptr && values[3] != Py_None && !parse_int(values[3], &directory)) ||
      !is_fifo(values[0], directory) || !may_block()) {
    PyErr_Clear();
    return original();
  }
  const Ref all_flags = Ref::steal(PyLong_FromLong(flags | O_NONBLOCK));
  const Ref names = Ref::steal(Py_BuildValue("(s)", kNames[3]));
  const Ref mode = Ref::steal(PyLong_FromLong(kDefaultMode));
  if (!all_flags || !names || !mode) return nullptr;
  PyObject* changed[] = {values[0], all_flags.get(), values[2] ? values[2] : mode.get(), values[3]};
  const auto open = [&] {
    return g_original.open(self, changed, 3, values[3] != nullptr ? names.get() : nullptr);
  };
  Ref fd = Ref::steal((flags & O_ACCMODE) == O_RDONLY ? open_to_read(open) : open_to_write(open));
  if (!fd) return nullptr;
  fcntl(static_cast<int>(PyLong_AsLong(fd.get())), F_SETFL, flags);  // ours alone as yet
  return fd.release();
}

}  // namespace

bool is_fifo(PyObject* path, int directory) noexcept {
  if (PyLong_Check(path)) return false;  // FSConverter would complain
  PyObject* encoded = nullptr;
  struct stat status {};
  const bool found = PyUnicode_FSConverter(path, static_cast<void*>(&encoded)) != 0 &&
                     fstatat(directory, PyBytes_AS_STRING(encoded), &status, 0) == 0;
  Py_XDECREF(encoded);
  PyErr_Clear();
  return found && S_ISFIFO(status.st_mode);
}

bool install() noexcept {
  Originals& o = g_original;
  if (o.read) return true;
  const Ref module = Ref::steal(PyImport_ImportModule("posix"));
  PyObject* os = module.get();
  return os != nullptr && retarget<replaced_read>(os, "read", &o.read) &&
         retarget<replaced_readv>(os, "readv", &o.readv) &&
         retarget<replaced_write>(os, "write", &o.write) &&
         retarget<replaced_writev>(os, "writev", &o.writev) &&
         retarget<replaced_sendfile>(os, "sendfile", &o.sendfile) &&
         retarget<replaced_splice>(os, "splice", &o.splice) &&
         retarget<when_ready<&Originals::eventfd_read, kReadable>>(os, "eventfd_read",
                                                                   &o.eventfd_read) &&
         retarget<when_ready<&Originals::eventfd_write, kWritable>>(os, "eventfd_write",
                                                                    &o.eventfd_write) &&
         retarget<replaced_open>(os, "open", &o.open);
}

}  // namespace coev::python::descriptor_io
