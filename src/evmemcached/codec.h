// Values as Python objects and as what a server keeps: bytes and 32 bits of flags.
//
// The flags are those of python-memcached and of pymemcache's serde, so either reads
// what the other wrote. Encoding and decoding may run Python code: never while a
// connection is leased. try_decode() alone runs none.
#pragma once

#include <cstdint>
#include <string_view>

#include "ref.h"

namespace evmemcached {

inline constexpr std::uint32_t kPickle = 1;
inline constexpr std::uint32_t kInteger = 2;
inline constexpr std::uint32_t kLong = 4;
inline constexpr std::uint32_t kCompressed = 8;
inline constexpr std::uint32_t kText = 16;

struct Encoded {
  Ref owner;  // of the bytes
  std::string_view bytes;
  std::uint32_t flags = 0;
};

// What a server gave for a key.
struct Fetched {
  Ref object;  // the value, or its bytes if `is_raw`
  std::uint32_t flags = 0;
  std::uint64_t cas = 0;
  bool is_raw = false;
};

struct Codec {
  // Owned by the cluster; each may be nullptr.
  PyObject* serialize = nullptr;    // (key, value) -> (bytes, flags)
  PyObject* deserialize = nullptr;  // (key, bytes, flags) -> value
  PyObject* dumps = nullptr;        // value -> bytes, for all but bytes, str and int
  PyObject* loads = nullptr;        // bytes -> value
  PyObject* compress = nullptr;     // bytes -> bytes
  PyObject* decompress = nullptr;
  PyObject* encoding = nullptr;  // of what a serializer gives that is not bytes
  bool raw = false;              // bytes as they are, and flags mean nothing
  bool refuses_unknown_flags = false;
  Py_ssize_t compressed_from = 0;  // bytes; 0: never

  // `key` is what a serializer is told. ERRORS: false with an exception set.
  bool encode(PyObject* key, PyObject* value, Py_ssize_t compressed_from,
              Encoded* encoded) const noexcept;
  // Runs no Python code. ERRORS: false, no memory, with an exception set.
  bool try_decode(std::string_view bytes, Fetched* fetched) const noexcept;
  // New reference. `key` is what a deserializer is told.
  PyObject* decode(PyObject* key, Fetched* fetched) const noexcept;

 private:
  bool encode_by_type(PyObject* value, Encoded* encoded) const noexcept;
  bool encode_other(Ref object, Encoded* encoded) const noexcept;
  bool shrink(Encoded* encoded) const noexcept;
};

}  // namespace evmemcached
