#include "python/monkey/files/file_io.h"

#include <fcntl.h>

#include "python/base/buffer_view.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/cpython/thread_state.h"
#include "python/monkey/files/descriptor.h"
#include "python/monkey/files/descriptor_io.h"
#include "python/waiting/blocking.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/hidden_nonblocking.h"
#include "python/waiting/occupancy.h"

namespace coev::python::file_io {
namespace {

// --- FileIO -----------------------------------------------------------------------------

// The beginning of CPython's object; install() checks it.
struct FileFields {
  PyObject_HEAD int fd;
  unsigned flags;  // bits: created, readable, writable, and more

  static constexpr unsigned kReadable = 1U << 1;
  static constexpr unsigned kWritable = 1U << 2;
  static inline unsigned closes_fd = 0;  // another bit from 3.15 on; install() finds it

  [[nodiscard]] bool readable() const noexcept { return (flags & kReadable) != 0; }
  [[nodiscard]] bool writable() const noexcept { return (flags & kWritable) != 0; }
  [[nodiscard]] bool closefd() const noexcept { return (flags & closes_fd) != 0; }
};

FileFields& file_fields(PyObject* file) noexcept { return *reinterpret_cast<FileFields*>(file); }

// A file that closes its descriptor says so before: see forget_descriptor().
Descriptor descriptor_of(PyObject* self) noexcept {
  const FileFields& file = file_fields(self);
  return Descriptor(file.fd, file.closefd() ? self : nullptr);
}

struct FileOriginals {
  Original read, readinto, readall, write, close;
};
FileOriginals g_file;
initproc g_file_init = nullptr;
PyObject* g_os_open = nullptr;

PyObject* none_or_error(Py_ssize_t result) noexcept {
  if (result == Descriptor::kWouldBlock) Py_RETURN_NONE;
  return nullptr;
}

constexpr Py_ssize_t kFirstBytes = 8192;

PyObject* read_all(Descriptor descriptor) noexcept {
  PyObject* result = PyBytes_FromStringAndSize(nullptr, kFirstBytes);
  Py_ssize_t size = 0;
  while (result != nullptr) {
    if (size == PyBytes_GET_SIZE(result) && _PyBytes_Resize(&result, 2 * size) < 0) break;
    iovec rest{PyBytes_AS_STRING(result) + size,
               static_cast<std::size_t>(PyBytes_GET_SIZE(result) - size)};
    const Py_ssize_t got = descriptor.read(&rest, 1);
    if (got > 0) {
      size += got;
    } else if (got == 0 || (got == Descriptor::kWouldBlock && size > 0)) {
      _PyBytes_Resize(&result, size);
      break;
    } else {
      Py_DECREF(result);
      return none_or_error(got);
    }
  }
  return result;
}

// What is closed, or open for the other direction only, is the original's to
// complain about.
bool can_read(const FileFields& file) noexcept {
  return file.fd >= 0 && file.readable() && may_block();
}

PyObject* file_readall(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                       PyObject* keywords) {
  Descriptor descriptor = descriptor_of(self);
  if (can_read(file_fields(self)) && descriptor.waits()) return read_all(descriptor);
  return g_file.readall(self, arguments, count, keywords);
}

PyObject* file_read(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  const auto original = [&] { return g_file.read(self, arguments, count, keywords); };
  if (count > 1 || !can_read(file_fields(self))) return original();
  Descriptor descriptor = descriptor_of(self);
  Py_ssize_t bytes = -1;
  if (count == 1 && arguments[0] != Py_None) {
    bytes = PyNumber_AsSsize_t(arguments[0], PyExc_OverflowError);
    if (bytes == 0 || (bytes == -1 && PyErr_Occurred())) {
      PyErr_Clear();
      return original();
    }
  }
  if (bytes < 0) return descriptor.waits() ? read_all(descriptor) : original();
  PyObject* result = PyBytes_FromStringAndSize(nullptr, bytes);
  if (result == nullptr) return nullptr;
  iovec buffer{PyBytes_AS_STRING(result), static_cast<std::size_t>(bytes)};
  const Py_ssize_t got = descriptor.read(&buffer, 1);
  if (got < 0) {
    Py_DECREF(result);
    return got == Descriptor::kDirect ? original() : none_or_error(got);
  }
  if (got < bytes) _PyBytes_Resize(&result, got);
  return result;
}

PyObject* file_readinto(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  const auto original = [&] { return g_file.readinto(self, arguments, count, keywords); };
  if (count != 1 || !can_read(file_fields(self))) return original();
  const BufferView buffer(arguments[0], PyBUF_WRITABLE);
  if (!buffer || buffer.size() == 0) {
    PyErr_Clear();
    return original();
  }
  iovec vector{buffer.bytes(), buffer.size()};
  const Py_ssize_t got = descriptor_of(self).read(&vector, 1);
  if (got == Descriptor::kDirect) return original();
  return got >= 0 ? PyLong_FromSsize_t(got) : none_or_error(got);
}

// A buffered writer has to learn how much was written, or it would write it twice.
// So an exception that comes in the middle is raised by the next wait, which is
// that of the rest.
bool postpone_exception() noexcept {
  CoroutineObject* self = current_object();
  const Ref exception = Ref::steal(thread_state::take_exception());
  return self != nullptr && throw_into(self, exception.get());
}

PyObject* file_write(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) {
  const auto original = [&] { return g_file.write(self, arguments, count, keywords); };
  const FileFields& file = file_fields(self);
  if (count != 1 || file.fd < 0 || !file.writable()) return original();
  Descriptor descriptor = descriptor_of(self);
  if (!descriptor.waits() || !may_block()) return original();
  const BufferView data(arguments[0], PyBUF_SIMPLE);
  if (!data || data.size() == 0) {
    PyErr_Clear();
    return original();
  }
  iovec buffer{data.bytes(), data.size()};
  Py_ssize_t written = 0;
  const Py_ssize_t result = descriptor.write(&buffer, 1, &written);
  if (result >= 0) return PyLong_FromSsize_t(result);
  if (result == Descriptor::kFailed && written > 0 && Visit::under_way() && postpone_exception()) {
    return PyLong_FromSsize_t(written);
  }
  return none_or_error(result);
}

void forget_descriptor(const FileFields& file) noexcept {
  if (file.fd < 0 || !file.closefd()) return;
  hidden_nonblocking::forget(file.fd);
  Readiness::forget(file.fd);
}

PyObject* file_close(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords) {
  forget_descriptor(file_fields(self));
  return g_file.close(self, arguments, count, keywords);
}

// FileIO(file, mode, closefd, opener) of a FIFO waits for the other end as os.open
// does, so os.open is its opener.
int init_with_opener(PyObject* self, PyObject* arguments, PyObject* keywords) noexcept {
  constexpr Py_ssize_t kBeforeOpener = 3;
  const Ref positional = Ref::steal(PyTuple_GetSlice(arguments, 0, kBeforeOpener));
  const Ref named = Ref::steal(keywords == nullptr ? PyDict_New() : PyDict_Copy(keywords));
  if (!positional || !named || PyDict_SetItemString(named.get(), "opener", g_os_open) < 0) {
    return -1;
  }
  return g_file_init(self, positional.get(), named.get());
}

// The argument that has this place or name; borrowed, or nullptr.
PyObject* find_argument(PyObject* arguments, PyObject* keywords, Py_ssize_t place,
                        const char* name) noexcept {
  if (PyTuple_GET_SIZE(arguments) > place) return PyTuple_GET_ITEM(arguments, place);
  return keywords == nullptr ? nullptr : PyDict_GetItemString(keywords, name);
}

int file_init(PyObject* self, PyObject* arguments, PyObject* keywords) {
  if (adapter::in_subinterpreter()) return g_file_init(self, arguments, keywords);
  forget_descriptor(file_fields(self));  // closed by a second initialization
  PyObject* path = find_argument(arguments, keywords, 0, "file");
  PyObject* opener = find_argument(arguments, keywords, 3, "opener");
  if (path != nullptr && (opener == nullptr || opener == Py_None) &&
      descriptor_io::is_fifo(path, AT_FDCWD)) {
    return init_with_opener(self, arguments, keywords);
  }
  return g_file_init(self, arguments, keywords);
}

bool probe(PyObject* type, const char* mode, bool readable, bool writable) noexcept {
  const Ref file = Ref::steal(PyObject_CallFunction(type, "ss", "/dev/null", mode));
  const Ref fd = file ? Ref::steal(PyObject_CallMethod(file.get(), "fileno", nullptr)) : Ref();
  if (!fd) return false;
  const FileFields& fields = file_fields(file.get());
  const bool known = fields.fd == PyLong_AsLong(fd.get()) && fields.readable() == readable &&
                     fields.writable() == writable;
  return Ref::steal(PyObject_CallMethod(file.get(), "close", nullptr)) && known;
}

// Two files of one descriptor that differ in that bit only.
bool find_closes_fd(PyObject* type) noexcept {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const Ref closes = Ref::steal(PyObject_CallFunction(type, "isi", fd, "r", 1));
  const Ref leaves = Ref::steal(PyObject_CallFunction(type, "isi", fd, "r", 0));
  if (!closes || !leaves) {
    if (!closes) close(fd);
    return false;
  }
  const unsigned set = file_fields(closes.get()).flags;
  FileFields::closes_fd = set & ~file_fields(leaves.get()).flags;
  const bool known = set - file_fields(leaves.get()).flags == FileFields::closes_fd &&
                     std::has_single_bit(FileFields::closes_fd);
  return Ref::steal(PyObject_CallMethod(leaves.get(), "close", nullptr)) &&
         Ref::steal(PyObject_CallMethod(closes.get(), "close", nullptr)) && known;
}

bool check_layout(PyObject* type) noexcept {
  if (probe(type, "r", true, false) && probe(type, "w", false, true) &&
      probe(type, "r+", true, true) && find_closes_fd(type)) {
    return true;
  }
  if (!PyErr_Occurred()) {
    PyErr_SetString(PyExc_ImportError,
                    "coev does not know how this interpreter lays out its file objects");
  }
  return false;
}

bool retarget_file(PyObject* type) noexcept {
  FileOriginals& o = g_file;
  return check_layout(type) &&
         retarget_slot(reinterpret_cast<PyTypeObject*>(type), "__init__", &PyTypeObject::tp_init,
                       file_init, &g_file_init) &&
         retarget<file_read>(type, "read", &o.read) &&
         retarget<file_readinto>(type, "readinto", &o.readinto) &&
         retarget<file_readall>(type, "readall", &o.readall) &&
         retarget<file_write>(type, "write", &o.write) &&
         retarget<file_close>(type, "close", &o.close);
}

// --- the buffered objects -----------------------------------------------------------------

// Methods that take the object's lock.
struct BufferedOriginals {
  Original close, flush, peek, read, read1, readinto, readinto1, readline, seek, truncate, write;
  iternextfunc next = nullptr;
};
BufferedOriginals g_reader;
BufferedOriginals g_writer;
BufferedOriginals g_random;

template <BufferedOriginals* originals, Original BufferedOriginals::*original>
PyObject* alone(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  const Visit visit(self);
  if (visit.refused()) return nullptr;
  return (originals->*original)(self, arguments, count, keywords);
}

template <BufferedOriginals* originals>
PyObject* next_alone(PyObject* self) {
  if (adapter::in_subinterpreter()) return originals->next(self);
  const Visit visit(self);
  return visit.refused() ? nullptr : originals->next(self);
}

template <BufferedOriginals* originals>
bool retarget_reading(PyObject* type) noexcept {
  using O = BufferedOriginals;
  return retarget<alone<originals, &O::peek>>(type, "peek", &originals->peek) &&
         retarget<alone<originals, &O::read>>(type, "read", &originals->read) &&
         retarget<alone<originals, &O::read1>>(type, "read1", &originals->read1) &&
         retarget<alone<originals, &O::readinto>>(type, "readinto", &originals->readinto) &&
         retarget<alone<originals, &O::readinto1>>(type, "readinto1", &originals->readinto1) &&
         retarget<alone<originals, &O::readline>>(type, "readline", &originals->readline) &&
         retarget_slot(reinterpret_cast<PyTypeObject*>(type), "__next__",
                       &PyTypeObject::tp_iternext, next_alone<originals>, &originals->next);
}

// flush() of a reader takes no lock.
template <BufferedOriginals* originals>
bool retarget_writing(PyObject* type) noexcept {
  using O = BufferedOriginals;
  return retarget<alone<originals, &O::flush>>(type, "flush", &originals->flush) &&
         retarget<alone<originals, &O::write>>(type, "write", &originals->write);
}

template <BufferedOriginals* originals>
bool retarget_both(PyObject* type) noexcept {
  using O = BufferedOriginals;
  return retarget<alone<originals, &O::close>>(type, "close", &originals->close) &&
         retarget<alone<originals, &O::seek>>(type, "seek", &originals->seek) &&
         retarget<alone<originals, &O::truncate>>(type, "truncate", &originals->truncate);
}

}  // namespace

bool install() noexcept {
  if (g_os_open != nullptr) return true;
  const Ref io = Ref::steal(PyImport_ImportModule("_io"));
  const Ref os = Ref::steal(PyImport_ImportModule("posix"));
  if (!io || !os) return false;
  const Ref file = Ref::steal(PyObject_GetAttrString(io.get(), "FileIO"));
  const Ref reader = Ref::steal(PyObject_GetAttrString(io.get(), "BufferedReader"));
  const Ref writer = Ref::steal(PyObject_GetAttrString(io.get(), "BufferedWriter"));
  const Ref random = Ref::steal(PyObject_GetAttrString(io.get(), "BufferedRandom"));
  if (!file || !reader || !writer || !random) return false;
  g_os_open = PyObject_GetAttrString(os.get(), "open");
  return g_os_open != nullptr && retarget_file(file.get()) &&
         retarget_both<&g_reader>(reader.get()) && retarget_reading<&g_reader>(reader.get()) &&
         retarget_both<&g_writer>(writer.get()) && retarget_writing<&g_writer>(writer.get()) &&
         retarget_both<&g_random>(random.get()) && retarget_reading<&g_random>(random.get()) &&
         retarget_writing<&g_random>(random.get());
}

}  // namespace coev::python::file_io
