// Field names: what each one means to the server, and the table of those seen.
//
// The table spares a name that was seen before the check of its bytes, and the binding
// the making of its environ key. It is bounded and nothing in it is ever evicted: who
// sends new names for ever costs time for those names, and memory for none.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "scan.h"

namespace coewsgi {

enum class FieldKind : std::uint8_t {
  kOther,
  kHost,
  kConnection,
  kContentLength,
  kTransferEncoding,
  kExpect,
  kUpgrade,
  kContentType,
  kCookie,
  kForwarded,   // says who the client was: for trusted peers only
  kUnderscore,  // CGI cannot tell it from one with a hyphen
  kDropped,     // Proxy: CGI would make HTTP_PROXY of it ("httpoxy")
  kOfConnection,
};

// REQUIRES: `lower` has as many bytes as are compared, in lower case.
inline bool equals_lower(std::string_view text, std::string_view lower) noexcept {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    if (c != lower[i]) return false;
  }
  return true;
}

FieldKind kind_of_field(std::string_view name) noexcept;

class FieldNames {
 public:
  struct Name {
    std::uint64_t hash = 0;
    std::uint16_t size = 0;
    FieldKind kind = FieldKind::kOther;
    std::array<char, 46> bytes{};
    void* key = nullptr;  // the binding's: made for this name once, kept for ever
  };

  // REQUIRES: 8 readable bytes from `name` on.
  [[nodiscard]] static std::uint64_t hash(const char* name, std::size_t size) noexcept {
    const std::uint64_t head = load(name, size);
    const std::uint64_t tail = size > 8 ? load(name + size - 8, 8) : size;
    const std::uint64_t mixed = (head ^ 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
    const std::uint64_t result = mixed + tail * 0xc4ceb9fe1a85ec53 + size;
    return result ^ (result >> 29);
  }

  [[nodiscard]] Name* find(const char* name, std::size_t size, std::uint64_t hash) noexcept {
    for (unsigned i = hash % kSlots;; i = (i + 1) % kSlots) {
      Name& slot = slots_[i];
      if (slot.size == 0) return nullptr;
      if (slot.hash == hash && slot.size == size && std::memcmp(slot.bytes.data(), name, size) == 0)
        return &slot;
    }
  }

  // nullptr where the table is full or the name is too long for it.
  Name* add(const char* name, std::size_t size, std::uint64_t hash, FieldKind kind) noexcept {
    if (used_ >= kMost || size > longest()) return nullptr;
    unsigned i = hash % kSlots;
    while (slots_[i].size != 0) i = (i + 1) % kSlots;
    Name& slot = slots_[i];
    slot.hash = hash;
    slot.size = static_cast<std::uint16_t>(size);
    slot.kind = kind;
    std::memcpy(slot.bytes.data(), name, size);
    ++used_;
    return &slot;
  }

  [[nodiscard]] static constexpr std::size_t longest() noexcept {
    return std::tuple_size_v<decltype(Name::bytes)>;
  }

 private:
  static constexpr unsigned kSlots = 1024;  // at most half full: short searches
  static constexpr unsigned kMost = 512;

  static std::uint64_t load(const char* bytes, std::size_t size) noexcept {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return size >= 8 ? word : word & ((std::uint64_t{1} << (8 * size)) - 1);
  }

  unsigned used_ = 0;
  std::array<Name, kSlots> slots_{};
};

}  // namespace coewsgi
