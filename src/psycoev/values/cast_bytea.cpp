// bytea in both its text formats ("Binary Data Types": hex and escape) as a memoryview.
#include <array>
#include <cstring>

#include "values/casts.h"

namespace psycoev::values {
namespace {

// What the memoryview shows: bytes with the format 'c', so that an item is a bytes object.
struct ChunkObject {
  PyObject_VAR_HEAD char bytes[1];
};

PyTypeObject* chunk_type;

int chunk_getbuffer(PyObject* object, Py_buffer* view, int flags) {
  auto* self = reinterpret_cast<ChunkObject*>(object);
  if (PyBuffer_FillInfo(view, object, self->bytes, Py_SIZE(object), 1, flags) < 0) return -1;
  static char format[] = "c";
  view->format = format;
  return 0;
}

void chunk_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyType_Slot chunk_slots[] = {{Py_tp_doc, const_cast<char*>("The bytes of one bytea value.")},
                             {Py_tp_dealloc, reinterpret_cast<void*>(chunk_dealloc)},
                             {Py_bf_getbuffer, reinterpret_cast<void*>(chunk_getbuffer)},
                             {0, nullptr}};

PyType_Spec chunk_spec = {"psycoev._psycopg.chunk", offsetof(ChunkObject, bytes), 1,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, chunk_slots};

constexpr std::array<int, 256> kNibbles = [] {
  std::array<int, 256> table{};
  for (int& entry : table) entry = -1;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = c - '0';
  for (unsigned char c = 'a'; c <= 'f'; ++c) table[c] = c - 'a' + 10;
  for (unsigned char c = 'A'; c <= 'F'; ++c) table[c] = c - 'A' + 10;
  return table;
}();

// Both give the count of bytes written to `to`.
Py_ssize_t parse_hex(const char* from, const char* end, char* to) {
  const char* const start = to;
  int high = -1;
  for (; from < end; ++from) {
    const int nibble = kNibbles[static_cast<unsigned char>(*from)];
    if (nibble < 0) continue;  // white space may stand between the digits
    if (high < 0) {
      high = nibble;
    } else {
      *to++ = static_cast<char>(high * 16 + nibble);
      high = -1;
    }
  }
  return to - start;
}

bool is_octal(const char* from, const char* end) {
  return end - from >= 3 && from[0] >= '0' && from[0] <= '3' && from[1] >= '0' && from[1] <= '7' &&
         from[2] >= '0' && from[2] <= '7';
}

Py_ssize_t parse_escape(const char* from, const char* end, char* to) {
  const char* const start = to;
  while (from < end) {
    if (*from != '\\') {
      *to++ = *from++;
    } else if (++from; is_octal(from, end)) {
      *to++ = static_cast<char>((from[0] - '0') * 64 + (from[1] - '0') * 8 + (from[2] - '0'));
      from += 3;
    } else {
      *to++ = from < end ? *from : '\0';
      ++from;
    }
  }
  return to - start;
}

}  // namespace

bool prepare_bytea() {
  chunk_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&chunk_spec));
  return chunk_type != nullptr;
}

PyObject* bytea_view(const char* data, Py_ssize_t size) {
  auto* chunk = PyObject_NewVar(ChunkObject, chunk_type, size);
  if (chunk == nullptr) return nullptr;
  const Ref owned(reinterpret_cast<PyObject*>(chunk));
  std::memcpy(chunk->bytes, data, static_cast<size_t>(size));
  return PyMemoryView_FromObject(owned.get());
}

PyObject* cast_bytea(const char* data, Py_ssize_t size, CursorObject*) {
  const bool is_hex = size >= 2 && data[0] == '\\' && data[1] == 'x';
  const Py_ssize_t room = is_hex ? size / 2 : size;
  auto* chunk = PyObject_NewVar(ChunkObject, chunk_type, room);
  if (chunk == nullptr) return nullptr;
  const Ref owned(reinterpret_cast<PyObject*>(chunk));
  const char* end = data + size;
  const Py_ssize_t written =
      is_hex ? parse_hex(data + 2, end, chunk->bytes) : parse_escape(data, end, chunk->bytes);
  Py_SET_SIZE(&chunk->ob_base, written);
  return PyMemoryView_FromObject(owned.get());
}

}  // namespace psycoev::values

// Programs that load the extension with ctypes know this cast by psycopg2's name for it.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" __attribute__((visibility("default"))) PyObject* typecast_BINARY_cast(const char* data,
                                                                                 Py_ssize_t size,
                                                                                 PyObject* cursor);

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" PyObject* typecast_BINARY_cast(const char* data, Py_ssize_t size, PyObject*) {
  if (data == nullptr) Py_RETURN_NONE;
  return psycoev::values::cast_bytea(data, size, nullptr);
}
