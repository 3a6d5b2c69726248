// Which server of a cluster a key belongs to.
#pragma once

#include <cstdint>
#include <vector>

#include "keys.h"
#include "pool.h"

namespace evmemcached {

enum class Hashing : std::uint8_t {
  kModulo,      // python-memcached's: crc32, and other numbers where a server is dead
  kOldModulo,   // as it was before: the whole of crc32
  kRendezvous,  // pymemcache's: the highest murmur3 of "server-key"
};

struct Router {
  std::vector<Pool*> pools;            // not owned; each server once
  std::vector<std::uint32_t> buckets;  // indexes of pools, by weight
  std::vector<PyObject*> names;        // str, what rendezvous hashes; owned by the cluster
  Hashing hashing = Hashing::kModulo;
  PyObject* hash_function = nullptr;  // bytes -> int, instead of crc32; owned by the cluster
  bool skips_dead = true;

  static constexpr int kNone = -1;
  static constexpr int kException = -2;
  // The index of a pool; kNone if no server is alive; kException with one set.
  // `object` is the key as the caller wrote it.
  [[nodiscard]] int route(const Key& key, PyObject* object, std::int64_t now) const noexcept;

 private:
  [[nodiscard]] bool is_usable(std::size_t index, std::int64_t now) const noexcept;
  [[nodiscard]] int modulo(const Key& key, std::int64_t now) const noexcept;
  [[nodiscard]] int rendezvous(PyObject* object, std::int64_t now) const noexcept;
  bool hash(std::string_view first, std::string_view second, std::int64_t* hash) const noexcept;
};

}  // namespace evmemcached
