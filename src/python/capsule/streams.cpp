#include <new>

#include "core/buffer.h"
#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"

struct coev_stream {
  coev::BufferedStream stream;
};

namespace coev::python {
namespace {

// More than any buffer can hold. ERRORS: true with MemoryError set.
bool exceeds_memory(size_t bytes) noexcept {
  if (bytes <= static_cast<size_t>(PY_SSIZE_T_MAX) / 4) return false;
  PyErr_NoMemory();
  return true;
}

template <typename Read>
int read(const char** data, size_t* size, Read operation) noexcept {
  std::string_view bytes;
  const int result = block([&] { return operation(&bytes); });
  *data = bytes.data();
  *size = bytes.size();
  return result;
}

}  // namespace

coev_stream* api_stream_new_owned(int fd, size_t buffer_bytes, const void* owner) {
  if (exceeds_memory(buffer_bytes)) return nullptr;
  if (buffer_bytes == 0) buffer_bytes = BufferedStream::kDefaultBytes;
  auto* stream = new (std::nothrow) coev_stream{BufferedStream(fd, owner, buffer_bytes)};
  if (stream == nullptr) PyErr_NoMemory();
  return stream;
}

coev_stream* api_stream_new(int fd, size_t buffer_bytes) {
  return api_stream_new_owned(fd, buffer_bytes, nullptr);
}

void api_stream_free(coev_stream* stream) { delete stream; }

int api_stream_read_some_until(coev_stream* stream, size_t at_most, int64_t deadline_ns,
                               const char** data, size_t* size) {
  return read(data, size, [&](std::string_view* bytes) {
    return stream->stream.read_some(at_most, Deadline::at(deadline_ns), bytes);
  });
}

int api_stream_read_exactly_until(coev_stream* stream, size_t count, int64_t deadline_ns,
                                  const char** data) {
  if (exceeds_memory(count)) return -1;
  size_t size = 0;
  return read(data, &size, [&](std::string_view* bytes) {
    return stream->stream.read_exactly(count, Deadline::at(deadline_ns), bytes);
  });
}

int api_stream_read_delimited_until(coev_stream* stream, const char* delimiter,
                                    size_t delimiter_size, size_t limit, int64_t deadline_ns,
                                    const char** data, size_t* size) {
  if (delimiter_size == 0) {
    PyErr_SetString(PyExc_ValueError, "delimiter must not be empty");
    return -1;
  }
  return read(data, size, [&](std::string_view* bytes) {
    return stream->stream.read_until({delimiter, delimiter_size}, limit, Deadline::at(deadline_ns),
                                     bytes);
  });
}

int api_stream_flush_until(coev_stream* stream, int64_t deadline_ns) {
  return block([&] { return stream->stream.flush(Deadline::at(deadline_ns)); });
}

// Collecting happens once; only the sending behind it may be repeated.
int api_stream_write_until(coev_stream* stream, const char* data, size_t size,
                           int64_t deadline_ns) {
  if (!can_block()) return -1;
  thread_state::ensure_scheduler();
  const Status status = stream->stream.write({data, size}, Deadline::at(deadline_ns));
  if (status != Status::kInterrupted) return outcome(status);
  return handle_interrupt() ? api_stream_flush_until(stream, deadline_ns) : -1;
}

// --- with a timeout ---------------------------------------------------------------------

int api_stream_read_some(coev_stream* stream, size_t at_most, double timeout, const char** data,
                         size_t* size) {
  return api_stream_read_some_until(stream, at_most, api_deadline_after(timeout), data, size);
}

int api_stream_read_exactly(coev_stream* stream, size_t count, double timeout, const char** data) {
  return api_stream_read_exactly_until(stream, count, api_deadline_after(timeout), data);
}

int api_stream_read_until(coev_stream* stream, const char* delimiter, size_t delimiter_size,
                          size_t limit, double timeout, const char** data, size_t* size) {
  return api_stream_read_delimited_until(stream, delimiter, delimiter_size, limit,
                                         api_deadline_after(timeout), data, size);
}

int api_stream_write(coev_stream* stream, const char* data, size_t size, double timeout) {
  return api_stream_write_until(stream, data, size, api_deadline_after(timeout));
}

int api_stream_flush(coev_stream* stream, double timeout) {
  return api_stream_flush_until(stream, api_deadline_after(timeout));
}

}  // namespace coev::python
