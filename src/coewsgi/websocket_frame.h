// Websocket frames (RFC 6455, section 5) out of a stream of bytes, and into one.
//
// Checks what a single frame can get wrong. Fragments, text and compression are the
// caller's. A payload takes memory as it arrives, not as its header announces it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace coewsgi {

struct FrameRules {
  bool masked = true;                  // frames must be (those of a client), or must not be
  bool rsv1 = false;                   // the first frame of a message may set it (RFC 7692)
  std::uint64_t most_bytes = 1 << 20;  // of a payload
};

struct Frame {
  unsigned opcode = 0;
  bool fin = false;
  bool rsv1 = false;
  std::string payload;  // unmasked
};

class FrameReader {
 public:
  enum class Event : std::uint8_t { kFrame, kMore, kProtocolError, kTooBig };

  explicit FrameReader(const FrameRules& rules) noexcept : rules_(rules) {}

  // Reads on at *at. kFrame: `frame` is whole, until the next call. After an error there is no
  // way to go on.
  Event next(const char** at, const char* end) noexcept;

  Frame frame;

 private:
  static constexpr std::size_t kLongestHeader = 14;

  [[nodiscard]] std::size_t header_bytes() const noexcept;
  Event check_start() noexcept;
  Event read_length() noexcept;

  FrameRules rules_;
  std::array<unsigned char, kLongestHeader> header_{};
  std::size_t header_size_ = 0;  // read so far
  bool in_payload_ = false;
  std::uint64_t left_ = 0;  // of the payload
  std::array<char, 4> mask_{};
};

// XORs `data` with the mask, whose first byte falls on a byte that is `offset` into the payload.
void apply_mask(char* data, std::size_t size, const std::array<char, 4>& mask,
                std::size_t offset) noexcept;

// A frame's header; `mask` may be nullptr.
std::string frame_header(unsigned opcode, bool fin, bool rsv1, std::uint64_t payload_bytes,
                         const std::array<char, 4>* mask) noexcept;

}  // namespace coewsgi
