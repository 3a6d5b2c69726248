// The memcached text and meta protocols as bytes: no sockets, no Python.
//
// Source: doc/protocol.txt of memcached 1.6. The parser keeps no state: it looks
// at the bytes that have come and says what the first reply among them is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "buffer.h"

namespace evmemcached {

enum class Kind : std::uint8_t {
  kValue,  // VALUE <key> <flags> <bytes> [<cas>], and the data
  kEnd,
  kStored,
  kNotStored,
  kExists,
  kNotFound,
  kDeleted,
  kTouched,
  kOk,
  kNumber,       // of incr and decr
  kError,        // ERROR: the command is not known
  kClientError,  // CLIENT_ERROR <text>
  kServerError,  // SERVER_ERROR <text>
  kMeta,         // two letters, and flags; data after VA
  kLine,         // another line: STAT, VERSION, RESET and so on
};

struct Reply {
  Kind kind = Kind::kLine;
  std::string_view line;   // without its \r\n
  std::string_view key;    // of kValue
  std::string_view value;  // of kValue and of VA
  std::uint32_t flags = 0;
  std::uint64_t cas = 0;
  bool has_cas = false;
  bool has_value = false;
  std::uint64_t number = 0;  // of kNumber
};

enum class Parsing : std::uint8_t { kReply, kNeedsMore, kBad };

// No line of a reply is longer, no item larger than what memcached can be told to keep.
inline constexpr std::size_t kLongestLine = 8 * 1024;
inline constexpr std::uint64_t kLargestValue = std::uint64_t{1} << 30;

// The reply that `bytes` begin with; `*used` gets its length. Views point into
// `bytes`. kNeedsMore: `*used` gets how many bytes it has at least.
Parsing parse_reply(std::string_view bytes, Reply* reply, std::size_t* used) noexcept;

// Whether a server would take every byte as part of one key: no blank, no line
// end, no NUL. `strict` refuses other control characters, too.
bool is_clean_key(std::string_view key, bool strict) noexcept;

// The opaque token that a reply of the meta protocol carries: its digits, or
// nothing.
std::string_view opaque_of(std::string_view line) noexcept;

}  // namespace evmemcached
