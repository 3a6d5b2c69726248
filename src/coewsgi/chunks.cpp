#include "chunks.h"

#include <algorithm>
#include <utility>

#include "request_head.h"

namespace coewsgi {
namespace {

constexpr unsigned kMostDigits = 15;  // below 2**60
constexpr unsigned kMostExtensionBytes = 256;
constexpr std::size_t kMostTrailerBytes = 8190;
constexpr unsigned kMostTrailerFields = 100;

}  // namespace

bool ChunkDecoder::read_size(char c) noexcept {
  if (const int digit = hex_digit(c); digit >= 0) {
    left_ = left_ * 16 + static_cast<unsigned>(digit);
    state_ = State::kSizeMore;
    return ++digits_ <= kMostDigits;
  }
  if (state_ == State::kSize) return false;
  if (c == '\r') {
    state_ = State::kSizeNewline;
    return true;
  }
  state_ = State::kExtensionName;
  named_ = false;
  extension_ = 0;
  return c == ';';
}

// chunk-ext = *( ";" name [ "=" ( token / quoted-string ) ] ); white space only behind ";".
bool ChunkDecoder::read_extension(char c) noexcept {
  if (++extension_ > kMostExtensionBytes) return false;
  switch (state_) {
    case State::kExtensionQuoted:
      if (c == '"') state_ = State::kExtensionQuoteEnd;
      if (c == '\\') state_ = State::kExtensionEscaped;
      return is_value_byte(c);
    case State::kExtensionEscaped:
      state_ = State::kExtensionQuoted;
      return is_value_byte(c);
    default:
      break;
  }
  if (c == '\r') {
    state_ = State::kSizeNewline;
    return named_;
  }
  if (c == ';') {
    state_ = State::kExtensionName;
    return std::exchange(named_, false);
  }
  if (state_ == State::kExtensionQuoteEnd) return false;
  if (c == '=' && state_ == State::kExtensionName) {
    state_ = State::kExtensionValue;
    return std::exchange(named_, false);
  }
  if (c == '"' && state_ == State::kExtensionValue && !named_) {
    state_ = State::kExtensionQuoted;
    return named_ = true;
  }
  const bool is_blank = c == ' ' || c == '\t';
  if (is_blank && state_ == State::kExtensionName && !named_) return true;
  named_ = true;
  return is_token_byte(c);
}

bool ChunkDecoder::read_newline(char c) noexcept {
  if (state_ == State::kDataNewline) {
    state_ = State::kSize;
    return c == '\n';
  }
  digits_ = 0;
  state_ = left_ != 0 ? State::kData : State::kTrailer;
  return c == '\n';
}

bool ChunkDecoder::read_trailer(char c) noexcept {
  if (c != '\n') {
    if (!line_.empty() && line_.back() == '\r') return false;
    if (c != '\r' && !is_value_byte(c)) return false;
    line_.push_back(c);
    return line_.size() + trailers_.size() <= kMostTrailerBytes;
  }
  if (line_.empty() || line_.back() != '\r') return false;
  if (line_.size() == 1) {
    state_ = State::kEnd;
    return true;
  }
  std::string_view name;
  std::string_view value;
  const std::string_view line(line_.data(), line_.size() - 1);
  if (!parse_trailer(line, &name, &value) || ++fields_ > kMostTrailerFields) return false;
  trailers_.append(line_).push_back('\n');
  line_.clear();
  return true;
}

ChunkDecoder::Event ChunkDecoder::next(const char** at, const char* end, std::size_t most,
                                       std::string_view* data) noexcept {
  while (state_ != State::kEnd) {
    if (*at == end) return Event::kMore;
    if (state_ == State::kData) {
      const auto there = static_cast<std::size_t>(end - *at);
      const std::size_t size = std::min<std::uint64_t>({there, most, left_});
      *data = {*at, size};
      *at += size;
      left_ -= size;
      if (left_ == 0) state_ = State::kDataReturn;
      return Event::kData;
    }
    const char c = *(*at)++;
    bool valid = false;
    switch (state_) {
      case State::kSize:
      case State::kSizeMore:
        valid = read_size(c);
        break;
      case State::kDataReturn:
        valid = c == '\r';
        state_ = State::kDataNewline;
        break;
      case State::kSizeNewline:
      case State::kDataNewline:
        valid = read_newline(c);
        break;
      case State::kTrailer:
        valid = read_trailer(c);
        break;
      default:
        valid = read_extension(c);
        break;
    }
    if (!valid) return Event::kInvalid;
  }
  return Event::kEnd;
}

}  // namespace coewsgi
