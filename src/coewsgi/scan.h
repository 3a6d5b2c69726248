// Scanners over the bytes of a request head: 16 bytes a step with SSE2, 8 elsewhere.
//
// REQUIRES: kPadding readable bytes behind `end`. A result at or behind `end` means
// that no byte was found.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace coewsgi {

inline constexpr std::size_t kPadding = 64;

// What a byte is in a field name: 0 where it may not stand there, else what CGI makes of it.
struct CharacterTables {
  std::array<char, 256> cgi{};
  std::array<bool, 256> token{};
  std::array<bool, 256> host{};

  constexpr CharacterTables() {
    for (int c = '0'; c <= '9'; ++c) cgi[c] = static_cast<char>(c);
    for (int c = 'A'; c <= 'Z'; ++c) cgi[c] = static_cast<char>(c);
    for (int c = 'a'; c <= 'z'; ++c) cgi[c] = static_cast<char>(c - 32);
    for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '.', '^', '`', '|', '~', '_'}) {
      cgi[static_cast<unsigned char>(c)] = c;
    }
    cgi['-'] = '_';
    for (int c = 0; c < 256; ++c) token[c] = cgi[c] != 0;
    // RFC 3986, reg-name, without the comma: a list of hosts is not a host.
    for (int c = 0; c < 128; ++c) host[c] = token[c];
    for (const char c : {'(', ')', ';', '='}) host[static_cast<unsigned char>(c)] = true;
    for (const char c : {'#', '^', '`', '|'}) host[static_cast<unsigned char>(c)] = false;
  }
};
inline constexpr CharacterTables kCharacters{};

inline bool is_token_byte(char c) noexcept {
  return kCharacters.token[static_cast<unsigned char>(c)];
}
inline bool is_value_byte(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}
inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
inline int hex_digit(char c) noexcept {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

#ifdef __SSE2__

// The first byte that may not stand in a field value: a control character other than HTAB.
inline const char* find_value_end(const char* at, const char* end) noexcept {
  const __m128i low = _mm_set1_epi8(0x1f);
  const __m128i del = _mm_set1_epi8(0x7f);
  const __m128i tab = _mm_set1_epi8('\t');
  for (; at < end; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, low), bytes);
    const __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                     _mm_cmpeq_epi8(bytes, del));
    if (const int mask = _mm_movemask_epi8(bad)) return at + __builtin_ctz(mask);
  }
  return at;
}

// The first byte that may not stand in a request target: a space or a control character.
inline const char* find_target_end(const char* at, const char* end) noexcept {
  const __m128i space = _mm_set1_epi8(0x20);
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; at < end; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i bad =
        _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, space), bytes), _mm_cmpeq_epi8(bytes, del));
    if (const int mask = _mm_movemask_epi8(bad)) return at + __builtin_ctz(mask);
  }
  return at;
}

inline const char* find_colon(const char* at, const char* end) noexcept {
  const __m128i colon = _mm_set1_epi8(':');
  for (; at < end; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    if (const int mask = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, colon))) {
      return at + __builtin_ctz(mask);
    }
  }
  return at;
}

#else

// Eight bytes at once where none of them is below `floor` or 0x7f; then one by one.
inline bool has_control(const char* at, unsigned floor) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = 0x8080808080808080;
  std::uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  const std::uint64_t del = bytes ^ (kOnes * 0x7f);
  return ((((bytes - kOnes * floor) & ~bytes) | ((del - kOnes) & ~del)) & kHighs) != 0;
}

inline const char* find_value_end(const char* at, const char* end) noexcept {
  for (; at < end; at += 8) {
    if (!has_control(at, 0x20)) continue;
    for (int i = 0; i < 8; ++i) {
      if (!is_value_byte(at[i])) return at + i;
    }
  }
  return at;
}

inline const char* find_target_end(const char* at, const char* end) noexcept {
  for (; at < end; at += 8) {
    if (!has_control(at, 0x21)) continue;
    for (int i = 0; i < 8; ++i) {
      const auto byte = static_cast<unsigned char>(at[i]);
      if (byte <= 0x20 || byte == 0x7f) return at + i;
    }
  }
  return at;
}

inline const char* find_colon(const char* at, const char* end) noexcept {
  const void* found = at < end ? std::memchr(at, ':', end - at) : nullptr;
  return found != nullptr ? static_cast<const char*>(found) : end;
}

#endif

}  // namespace coewsgi
