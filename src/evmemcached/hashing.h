// Which server a key belongs to: the two hash functions that clients agree on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace evmemcached {

// CRC-32 as zlib's: goes on from `crc`, which begins with 0.
std::uint32_t crc32(std::uint32_t crc, std::string_view bytes) noexcept;

// python-memcached's hash of a key.
inline std::uint32_t key_hash(std::uint32_t crc) noexcept { return (crc >> 16) & 0x7fff; }

// MurmurHash3 for 32 bits (public domain, Austin Appleby) of `bytes`.
std::uint32_t murmur3(std::string_view bytes, std::uint32_t seed) noexcept;

}  // namespace evmemcached
