#include "router.h"

#include <charconv>

#include "hashing.h"

namespace evmemcached {

bool Router::is_usable(std::size_t index, std::int64_t now) const noexcept {
  return !skips_dead || !pools[index]->is_dead(now);
}

bool Router::hash(std::string_view first, std::string_view second,
                  std::int64_t* hash) const noexcept {
  if (hash_function == nullptr) {
    const std::uint32_t crc = crc32(crc32(0, first), second);
    *hash = hashing == Hashing::kModulo ? key_hash(crc) : crc;
    return true;
  }
  Ref bytes = Ref::steal(
      PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(first.size() + second.size())));
  if (!bytes) return false;
  char* text = PyBytes_AS_STRING(bytes.get());
  first.copy(text, first.size());
  second.copy(text + first.size(), second.size());
  const Ref number = Ref::steal(PyObject_CallOneArg(hash_function, bytes.get()));
  if (!number) return false;
  *hash = PyLong_AsLongLong(number.get());
  return *hash != -1 || PyErr_Occurred() == nullptr;
}

// A dead server's keys go where the hash of "<hash><try>" says, up to ten times.
int Router::modulo(const Key& key, std::int64_t now) const noexcept {
  constexpr int kTries = 10;
  const auto count = static_cast<std::int64_t>(buckets.size());
  std::int64_t number = key.hash;
  if (!key.hashed && !hash(key.prefix, key.text, &number)) return kException;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    const std::uint32_t index = buckets[static_cast<std::size_t>((number % count + count) % count)];
    if (is_usable(index, now)) return static_cast<int>(index);
    char text[32];
    char* end = std::to_chars(text, text + sizeof text, number).ptr;
    end = std::to_chars(end, text + sizeof text, attempt).ptr;
    if (!hash({text, static_cast<std::size_t>(end - text)}, {}, &number)) return kException;
  }
  return kNone;
}

// The text of a name and of a key is hashed by the low bytes of its code points.
int Router::rendezvous(PyObject* object, std::int64_t now) const noexcept {
  const Ref text = PyUnicode_Check(object) ? Ref::borrow(object) : Ref::steal(PyObject_Str(object));
  if (!text) return kException;
  int winner = kNone;
  std::int64_t best = -1;
  std::vector<char> bytes;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (!is_usable(i, now)) continue;
    bytes.clear();
    const auto add = [&bytes](PyObject* string) {
      for (Py_ssize_t at = 0; at < PyUnicode_GET_LENGTH(string); ++at) {
        bytes.push_back(static_cast<char>(PyUnicode_READ_CHAR(string, at) & 0xff));
      }
    };
    add(names[i]);
    bytes.push_back('-');
    add(text.get());
    const std::int64_t score = murmur3({bytes.data(), bytes.size()}, 0);
    const bool wins =
        score > best || (score == best && winner != kNone &&
                         PyUnicode_Compare(names[i], names[static_cast<std::size_t>(winner)]) > 0);
    if (!wins) continue;
    best = score;
    winner = static_cast<int>(i);
  }
  return winner;
}

int Router::route(const Key& key, PyObject* object, std::int64_t now) const noexcept {
  if (pools.empty() || buckets.empty()) return kNone;
  if (pools.size() == 1) return is_usable(0, now) ? 0 : kNone;
  return hashing == Hashing::kRendezvous ? rendezvous(object, now) : modulo(key, now);
}

}  // namespace evmemcached
