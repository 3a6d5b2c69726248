#include <new>

#include "core/buffer.h"
#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"

struct coev_stream {
  coev::BufferedStream stream;
};

namespace coev::python {
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

}  // namespace coev::python
