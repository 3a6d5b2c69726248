// The chunked transfer coding (RFC 9112, 7.1), decoded piece by piece.
//
// Data is not copied: next() gives views into what it was fed. Trailer fields are checked
// as those of a head are and kept apart: nothing of them ever joins the head's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coewsgi {

class ChunkDecoder {
 public:
  enum class Event : std::uint8_t { kData, kMore, kEnd, kInvalid };

  void reset() noexcept {
    state_ = State::kSize;
    left_ = 0;
    digits_ = extension_ = fields_ = 0;
    line_.clear();
    trailers_.clear();
  }

  // Reads on at *at. kData: *data is not empty, and at most `most` bytes; kMore: all up to
  // `end` is read; kEnd: *at is behind the body; kInvalid: there is no way to go on.
  // REQUIRES: most > 0.
  Event next(const char** at, const char* end, std::size_t most, std::string_view* data) noexcept;

  // The trailer section as it was sent, valid lines only.
  [[nodiscard]] std::string_view trailers() const noexcept { return trailers_; }

 private:
  enum class State : std::uint8_t {
    kSize,
    kSizeMore,
    kExtensionName,
    kExtensionValue,
    kExtensionQuoted,
    kExtensionEscaped,
    kExtensionQuoteEnd,
    kSizeNewline,
    kData,
    kDataReturn,
    kDataNewline,
    kTrailer,
    kEnd,
  };
  bool read_size(char c) noexcept;
  bool read_extension(char c) noexcept;
  bool read_newline(char c) noexcept;
  bool read_trailer(char c) noexcept;

  State state_ = State::kSize;
  bool named_ = false;  // the extension has a name, or its value a byte
  std::uint16_t digits_ = 0;
  std::uint16_t extension_ = 0;
  std::uint16_t fields_ = 0;
  std::uint64_t left_ = 0;  // of the chunk's data
  std::string line_;        // of the trailer section
  std::string trailers_;
};

}  // namespace coewsgi
