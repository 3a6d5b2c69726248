// Keys as Python objects and as bytes that a server takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ref.h"

namespace evmemcached {

// The bytes of a key are `prefix` and then `text`.
struct Key {
  std::string_view prefix;
  std::string_view text;
  Ref owner;            // of `text`
  bool hashed = false;  // the caller gave the hash: (hash, key)
  std::int64_t hash = 0;

  [[nodiscard]] std::size_t size() const noexcept { return prefix.size() + text.size(); }
  [[nodiscard]] bool equals(std::string_view bytes) const noexcept {
    return bytes.size() == size() && bytes.ends_with(text) && bytes.starts_with(prefix);
  }
};

struct KeyRules {
  PyObject* encoder = nullptr;  // key -> str or bytes; owned by the cluster
  std::size_t longest = 250;    // bytes with the prefix; 0: without limit
  bool strict = true;           // no control characters at all
  bool unicode = true;          // a str may hold more than ASCII

  // `any`: whatever has a str() may be a key. `prefix` must outlive the key.
  // ERRORS: false with a MemcachedKeyError (or what the encoder raised) set.
  bool make(PyObject* object, std::string_view prefix, bool any, Key* key) const noexcept;
};

}  // namespace evmemcached
