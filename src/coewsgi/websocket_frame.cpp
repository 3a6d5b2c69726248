#include "websocket_frame.h"

#include <algorithm>
#include <cstring>

namespace coewsgi {
namespace {

constexpr unsigned kContinuation = 0;
constexpr unsigned kFirstControl = 8;
constexpr unsigned kLastControl = 10;
constexpr unsigned kLastData = 2;
constexpr unsigned kLength16 = 126;
constexpr unsigned kLength64 = 127;
constexpr unsigned kMostControlBytes = 125;

}  // namespace

// What the header takes, as far as the bytes read so far tell.
std::size_t FrameReader::header_bytes() const noexcept {
  if (header_size_ < 2) return 2;
  const unsigned length = header_[1] & 127U;
  std::size_t size = 2;
  if (length == kLength16) size += 2;
  if (length == kLength64) size += 8;
  return (header_[1] & 128U) != 0 ? size + 4 : size;
}

FrameReader::Event FrameReader::check_start() noexcept {
  frame.fin = (header_[0] & 128U) != 0;
  frame.rsv1 = (header_[0] & 64U) != 0;
  frame.opcode = header_[0] & 15U;
  frame.payload.clear();
  const bool is_control = frame.opcode >= kFirstControl;
  const unsigned length = header_[1] & 127U;
  const bool is_masked = (header_[1] & 128U) != 0;
  const bool may_set_rsv1 = rules_.rsv1 && !is_control && frame.opcode != kContinuation;
  const bool is_valid = (header_[0] & 48U) == 0 && (!frame.rsv1 || may_set_rsv1) &&
                        (is_control ? frame.opcode <= kLastControl : frame.opcode <= kLastData) &&
                        (!is_control || (frame.fin && length <= kMostControlBytes)) &&
                        is_masked == rules_.masked;
  return is_valid ? Event::kMore : Event::kProtocolError;
}

FrameReader::Event FrameReader::read_length() noexcept {
  const unsigned length = header_[1] & 127U;
  std::size_t at = 2;
  left_ = length;
  std::size_t bytes = 0;
  if (length == kLength16) bytes = 2;
  if (length == kLength64) bytes = 8;
  if (bytes != 0) left_ = 0;
  for (; bytes != 0; --bytes) left_ = (left_ << 8) | header_[at++];
  const bool is_shortest =
      (length != kLength16 || left_ >= kLength16) && (length != kLength64 || left_ > UINT16_MAX);
  if (!is_shortest || (left_ >> 63) != 0) return Event::kProtocolError;
  if (left_ > rules_.most_bytes) return Event::kTooBig;
  if ((header_[1] & 128U) != 0) std::memcpy(mask_.data(), &header_[at], mask_.size());
  return Event::kMore;
}

FrameReader::Event FrameReader::next(const char** at, const char* end) noexcept {
  while (!in_payload_) {
    if (header_size_ == header_bytes()) {
      if (const Event event = read_length(); event != Event::kMore) return event;
      in_payload_ = true;
      break;
    }
    if (*at == end) return Event::kMore;
    header_[header_size_++] = static_cast<unsigned char>(*(*at)++);
    if (header_size_ != 2) continue;
    if (const Event event = check_start(); event != Event::kMore) return event;
  }
  const std::size_t size = std::min<std::uint64_t>(left_, static_cast<std::size_t>(end - *at));
  const std::size_t offset = frame.payload.size();
  frame.payload.append(*at, size);
  if (rules_.masked) apply_mask(frame.payload.data() + offset, size, mask_, offset);
  *at += size;
  left_ -= size;
  if (left_ != 0) return Event::kMore;
  in_payload_ = false;
  header_size_ = 0;
  return Event::kFrame;
}

void apply_mask(char* data, std::size_t size, const std::array<char, 4>& mask,
                std::size_t offset) noexcept {
  std::array<char, 8> wide{};
  for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = mask[(offset + i) % mask.size()];
  std::uint64_t word = 0;
  std::memcpy(&word, wide.data(), sizeof word);
  std::size_t i = 0;
  for (; i + sizeof word <= size; i += sizeof word) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, data + i, sizeof bytes);
    bytes ^= word;
    std::memcpy(data + i, &bytes, sizeof bytes);
  }
  for (; i < size; ++i) data[i] = static_cast<char>(data[i] ^ wide[i % wide.size()]);
}

std::string frame_header(unsigned opcode, bool fin, bool rsv1, std::uint64_t payload_bytes,
                         const std::array<char, 4>* mask) noexcept {
  std::string header;
  header.push_back(static_cast<char>((fin ? 128U : 0U) | (rsv1 ? 64U : 0U) | opcode));
  const unsigned mask_bit = mask != nullptr ? 128U : 0U;
  unsigned bytes = 0;
  if (payload_bytes < kLength16) {
    header.push_back(static_cast<char>(mask_bit | payload_bytes));
  } else {
    bytes = payload_bytes <= UINT16_MAX ? 2 : 8;
    header.push_back(static_cast<char>(mask_bit | (bytes == 2 ? kLength16 : kLength64)));
  }
  while (bytes != 0) header.push_back(static_cast<char>(payload_bytes >> (8 * --bytes)));
  if (mask != nullptr) header.append(mask->data(), mask->size());
  return header;
}

}  // namespace coewsgi
