#include "input_type.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime.h"
#include "server.h"
#include "transport.h"

namespace coewsgi {
namespace {

constexpr int kBadRequest = 400;
constexpr int kRequestTimeout = 408;
constexpr int kContentTooLarge = 413;

Input& as_input(PyObject* self) noexcept { return *reinterpret_cast<Input*>(self); }

int raise_failure(const Input& input) noexcept {
  const char* text = "the client closed the connection within the request's body";
  if (input.failure == kRequestTimeout) text = "the request's body came too slowly";
  if (input.failure == kContentTooLarge) text = "the request's body is too large";
  if (input.failure == kBadRequest) text = "the request's body was not received whole";
  PyErr_SetString(exceptions.client_disconnected, text);
  return -1;
}

int fail(Input& input, int status) noexcept {
  input.failure = status;
  input.pending = {};
  return raise_failure(input);
}

// Until when the next bytes must come: start, grace and what a slow but honest client needs.
// Only the time spent waiting counts, or a slow application would be the client's fault.
Nanoseconds body_deadline(const Input& input, Nanoseconds now) noexcept {
  const Settings& settings = input.connection->server.settings();
  if (settings.body_grace == 0) return kNever;
  const auto earned = static_cast<Nanoseconds>(static_cast<double>(input.received) /
                                               static_cast<double>(settings.body_rate) * 1e9);
  return now + settings.body_grace + earned - input.waited;
}

// The client is invited to send the body, once, where it asked for that.
bool invite(Input& input) noexcept {
  if (!input.expects_continue || input.continue_sent) return true;
  input.continue_sent = true;
  input.connection->server.counters().count_response(100);
  return send_all(*input.connection, "HTTP/1.1 100 Continue\r\n\r\n") != Sent::kRaised;
}

// More bytes into [data, data + size). > 0: how many; -1: an exception is set.
ssize_t receive_body(Input& input, char* data, std::size_t size) noexcept {
  if (input.receiving) {
    PyErr_SetString(PyExc_RuntimeError, "another thread is reading this body");
    return -1;
  }
  Connection& connection = *input.connection;
  const ConnectionUse use(connection);
  input.receiving = true;
  const Nanoseconds began = now_ns();
  ssize_t got = kReadRaised;
  if (invite(input)) got = receive(connection, data, size, body_deadline(input, began));
  input.receiving = false;
  if (connection.drained) input.waited += now_ns() - began;
  if (got > 0) return got;
  if (got == kReadRaised) return -1;
  if (got == kReadTimedOut) ++connection.server.counters().timeouts;
  if (got == kReadLost) ++connection.server.counters().read_errors;
  return fail(input, got == kReadTimedOut ? kRequestTimeout : kBadRequest);
}

bool is_too_large(const Input& input) noexcept {
  const std::int64_t most = input.connection->server.settings().body_bytes;
  return most != 0 && input.received > most;
}

// (name, value) tuples into the list that environ holds.
bool fill_trailers(const Input& input) noexcept {
  std::string_view left = input.chunks.trailers();
  while (input.trailers != nullptr && !left.empty()) {
    const std::size_t end = left.find('\r');
    std::string_view name;
    std::string_view value;
    if (parse_trailer(left.substr(0, end), &name, &value)) {
      const Ref pair = Ref::steal(Py_BuildValue("(NN)", latin1(name), latin1(value)));
      if (!pair || PyList_Append(input.trailers, pair.get()) < 0) return false;
    }
    left.remove_prefix(end + 2);
  }
  return true;
}

// What is buffered as `pending`. 1: some; 0: the body has ended; 2: nothing is buffered.
int take_buffered(Input& input) noexcept {
  Buffer* buffer = input.connection->in;
  if (buffer == nullptr || buffer->left() == 0) return 2;
  if (!input.chunked) {
    const std::size_t size =
        std::min<std::uint64_t>(buffer->left(), static_cast<std::uint64_t>(input.left));
    input.pending = {buffer->begin(), size};
    buffer->at += size;
    input.left -= static_cast<std::int64_t>(size);
    input.received += static_cast<std::int64_t>(size);
    input.ended = input.left == 0;
    return 1;
  }
  const char* at = buffer->begin();
  const auto event = input.chunks.next(&at, buffer->end(), buffer->left(), &input.pending);
  buffer->at = static_cast<std::size_t>(at - buffer->data());
  switch (event) {
    case ChunkDecoder::Event::kData:
      input.received += static_cast<std::int64_t>(input.pending.size());
      return is_too_large(input) ? fail(input, kContentTooLarge) : 1;
    case ChunkDecoder::Event::kEnd:
      input.ended = true;
      return fill_trailers(input) ? 0 : -1;
    case ChunkDecoder::Event::kMore:
      return 2;
    default:
      ++input.connection->server.counters().bad_requests;
      return fail(input, kBadRequest);
  }
}

}  // namespace

int fill_pending(Input& input) noexcept {
  if (!input.pending.empty()) return 1;
  if (input.connection == nullptr || input.ended) return 0;
  if (input.failure != 0) return raise_failure(input);
  Connection& connection = *input.connection;
  if (connection.taken_over) return 0;
  for (;;) {
    const int result = take_buffered(input);
    if (result != 2) return result;
    if (connection.in == nullptr) connection.in = connection.server.buffers().take();
    if (connection.in == nullptr) {
      PyErr_NoMemory();
      return -1;
    }
    connection.in->clear();
    const ssize_t got = receive_body(input, connection.in->data(), connection.in->capacity);
    if (got < 0) return -1;
    connection.in->size = static_cast<std::size_t>(got);
  }
}

namespace {

// Bytes of the body, at most `size`, straight from the socket where nothing is buffered.
// > 0: how many; 0: the body has ended; -1: an exception is set.
ssize_t read_some(Input& input, char* data, std::size_t size) noexcept {
  const bool direct = input.pending.empty() && !input.ended && !input.chunked &&
                      input.failure == 0 && input.connection != nullptr &&
                      !input.connection->taken_over &&
                      (input.connection->in == nullptr || input.connection->in->left() == 0);
  if (direct && size >= BufferPool::kBufferBytes) {
    size = std::min<std::uint64_t>(size, static_cast<std::uint64_t>(input.left));
    const ssize_t got = receive_body(input, data, size);
    if (got > 0) {
      input.left -= got;
      input.received += got;
      input.ended = input.left == 0;
    }
    return got;
  }
  const int result = fill_pending(input);
  if (result <= 0) return result;
  size = std::min(size, input.pending.size());
  std::memcpy(data, input.pending.data(), size);
  input.pending.remove_prefix(size);
  return static_cast<ssize_t>(size);
}

// Grows with what arrives: a length that a client merely announces costs no memory.
PyObject* read_bytes(Input& input, std::size_t most) noexcept {
  constexpr std::size_t kFirst = 65536;
  std::size_t expected = input.pending.size();
  if (!input.chunked) expected += static_cast<std::size_t>(input.left);
  if (input.chunked && !input.ended) expected = most;
  std::size_t capacity = std::min({most, expected, kFirst});
  if (capacity == 0) capacity = most == 0 ? 0 : 1;
  PyObject* bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(capacity));
  if (bytes == nullptr) return nullptr;
  std::size_t size = 0;
  while (size < most) {
    if (size == capacity) {
      if (!input.chunked && input.ended && input.pending.empty()) break;
      capacity = std::min(most, capacity * 2 + kFirst);
      if (_PyBytes_Resize(&bytes, static_cast<Py_ssize_t>(capacity)) < 0) return nullptr;
    }
    const ssize_t got = read_some(input, PyBytes_AS_STRING(bytes) + size, capacity - size);
    if (got < 0) {
      Py_DECREF(bytes);
      return nullptr;
    }
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size != capacity && _PyBytes_Resize(&bytes, static_cast<Py_ssize_t>(size)) < 0)
    return nullptr;
  return bytes;
}

// The optional size of read(), read1() and readline(): None and below 0 mean no limit.
bool parse_size(PyObject* const* args, Py_ssize_t count, std::size_t* size) noexcept {
  *size = SIZE_MAX / 2;
  if (count > 1) {
    PyErr_Format(PyExc_TypeError, "expected at most 1 argument, got %zd", count);
    return false;
  }
  if (count == 0 || args[0] == Py_None) return true;
  const Py_ssize_t value = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
  if (value == -1 && PyErr_Occurred() != nullptr) return false;
  if (value >= 0) *size = static_cast<std::size_t>(value);
  return true;
}

PyObject* input_read(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::size_t size = 0;
  return parse_size(args, count, &size) ? read_bytes(as_input(self), size) : nullptr;
}

PyObject* input_read1(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::size_t size = 0;
  if (!parse_size(args, count, &size)) return nullptr;
  Input& input = as_input(self);
  if (size == 0) return PyBytes_FromStringAndSize(nullptr, 0);
  if (fill_pending(input) < 0) return nullptr;
  size = std::min(size, input.pending.size());
  const std::string_view taken = input.pending.substr(0, size);
  PyObject* bytes = PyBytes_FromStringAndSize(taken.data(), static_cast<Py_ssize_t>(taken.size()));
  input.pending.remove_prefix(size);
  return bytes;
}

PyObject* input_readinto(PyObject* self, PyObject* target) {
  Py_buffer view;
  if (PyObject_GetBuffer(target, &view, PyBUF_WRITABLE) < 0) return nullptr;
  std::size_t size = 0;
  ssize_t got = 1;
  while (got > 0 && size < static_cast<std::size_t>(view.len)) {
    got = read_some(as_input(self), static_cast<char*>(view.buf) + size,
                    static_cast<std::size_t>(view.len) - size);
    if (got > 0) size += static_cast<std::size_t>(got);
  }
  PyBuffer_Release(&view);
  return got < 0 ? nullptr : PyLong_FromSize_t(size);
}

PyObject* read_line(Input& input, std::size_t most) noexcept {
  std::string line;
  while (line.size() < most) {
    const int result = fill_pending(input);
    if (result < 0) return nullptr;
    if (result == 0) break;
    std::size_t size = std::min(input.pending.size(), most - line.size());
    const std::size_t newline = input.pending.substr(0, size).find('\n');
    if (newline != std::string_view::npos) size = newline + 1;
    line.append(input.pending.substr(0, size));
    input.pending.remove_prefix(size);
    if (newline != std::string_view::npos) break;
  }
  return PyBytes_FromStringAndSize(line.data(), static_cast<Py_ssize_t>(line.size()));
}

PyObject* input_readline(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::size_t size = 0;
  return parse_size(args, count, &size) ? read_line(as_input(self), size) : nullptr;
}

PyObject* input_next(PyObject* self) {
  PyObject* line = read_line(as_input(self), SIZE_MAX / 2);
  if (line != nullptr && PyBytes_GET_SIZE(line) == 0) Py_CLEAR(line);
  return line;
}

// The hint is a number of bytes behind which no further line is begun (io.IOBase).
PyObject* input_readlines(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::size_t hint = 0;
  if (!parse_size(args, count, &hint)) return nullptr;
  if (hint == 0) hint = SIZE_MAX / 2;
  Ref lines = Ref::steal(PyList_New(0));
  for (std::size_t total = 0; lines && total < hint;) {
    const Ref line = Ref::steal(input_next(self));
    if (!line) break;
    total += static_cast<std::size_t>(PyBytes_GET_SIZE(line.get()));
    if (PyList_Append(lines.get(), line.get()) < 0) return nullptr;
  }
  return PyErr_Occurred() != nullptr ? nullptr : lines.release();
}

void input_dealloc(PyObject* self) {
  Input& input = as_input(self);
  input.chunks.~ChunkDecoder();
  Py_XDECREF(input.trailers);
  PyObject_Free(self);
}

PyMethodDef input_methods[] = {
    {"read", as_method(input_read), METH_FASTCALL, nullptr},
    {"read1", as_method(input_read1), METH_FASTCALL, nullptr},
    {"readinto", input_readinto, METH_O, nullptr},
    {"readline", as_method(input_readline), METH_FASTCALL, nullptr},
    {"readlines", as_method(input_readlines), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject input_type = {
    .ob_base = PyVarObject_HEAD_INIT(nullptr, 0).tp_name = "coewsgi.Input",
    .tp_basicsize = sizeof(Input),
    .tp_dealloc = input_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = input_next,
    .tp_methods = input_methods,
};

}  // namespace

bool ready_input_type() noexcept { return PyType_Ready(&input_type) == 0; }

Input* take_input(Connection& connection, const RequestHead& head) noexcept {
  Input* input = connection.input;
  if (input == nullptr || Py_REFCNT(input) != 1) {
    if (input != nullptr) release_input(input);
    input = connection.input = PyObject_New(Input, &input_type);
    if (input == nullptr) return nullptr;
    new (&input->chunks) ChunkDecoder;
    input->trailers = nullptr;
  }
  input->connection = &connection;
  input->left = std::max<std::int64_t>(head.content_length, 0);
  input->received = 0;
  input->waited = 0;
  input->pending = {};
  input->failure = 0;
  input->chunked = head.chunked;
  input->ended = !head.chunked && input->left == 0;
  input->expects_continue = head.expects_continue && !input->ended;
  input->continue_sent = false;
  input->receiving = false;
  Py_CLEAR(input->trailers);
  if (head.chunked) input->chunks.reset();
  return input;
}

void release_input(Input* input) noexcept {
  input->connection = nullptr;
  input->pending = {};
  Py_DECREF(input);
}

PyObject* spill_input(Input& input, std::int64_t memory_bytes) noexcept {
  const Ref module = Ref::steal(PyImport_ImportModule("tempfile"));
  if (!module) return nullptr;
  Ref file = Ref::steal(PyObject_CallMethod(module.get(), "SpooledTemporaryFile", "L",
                                            static_cast<long long>(memory_bytes)));
  while (file) {
    const int result = fill_pending(input);
    if (result < 0) return nullptr;
    if (result == 0) break;
    const Ref done = Ref::steal(PyObject_CallMethod(file.get(), "write", "y#", input.pending.data(),
                                                    static_cast<Py_ssize_t>(input.pending.size())));
    if (!done) return nullptr;
    input.pending = {};
  }
  if (file && !Ref::steal(PyObject_CallMethod(file.get(), "seek", "i", 0))) return nullptr;
  return file.release();
}

bool drain_input(Input& input) noexcept {
  constexpr std::size_t kMostBytes = 65536;
  std::size_t total = input.pending.size();
  input.pending = {};
  if (input.ended) return true;
  // Not invited to send its body, a client may send a request instead: nobody can tell.
  if (input.failure != 0 || (input.expects_continue && !input.continue_sent)) return false;
  while (total < kMostBytes) {
    const int result = fill_pending(input);
    if (result == 0) return true;
    if (result < 0) {
      if (is_plain_exception()) PyErr_Clear();
      return false;
    }
    total += input.pending.size();
    input.pending = {};
  }
  return input.ended;
}

}  // namespace coewsgi
