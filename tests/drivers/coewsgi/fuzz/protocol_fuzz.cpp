// libFuzzer target: whatever bytes come, the parsers neither read beyond them nor change
// their mind when the same bytes come in pieces.
//
// The first byte says which parser, the second where the bytes are cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "chunks.h"
#include "proxy_protocol.h"
#include "request_head.h"
#include "websocket_frame.h"

namespace {

using coewsgi::ChunkDecoder;
using coewsgi::FrameReader;

void require(bool holds) {
  if (!holds) std::abort();
}

// The bytes with exactly the padding that parsers may read.
class Padded {
 public:
  explicit Padded(std::string_view data)
      : size_(data.size()), bytes_(new char[data.size() + coewsgi::kPadding]()) {
    data.copy(bytes_.get(), size_);
  }
  [[nodiscard]] const char* data() const { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

int parse(std::string_view data, coewsgi::RequestHead& head) {
  static coewsgi::FieldNames names;
  const Padded padded(data);
  const coewsgi::HeadLimits limits{256, 256, 16, 1024, coewsgi::HeaderMap::kDrop, true};
  const int result = coewsgi::parse_head(padded.data(), padded.size(), limits, names, head);
  if (result > 0) {
    require(static_cast<std::size_t>(result) <= data.size() && head.count <= limits.fields);
    require(!(head.chunked && head.content_length >= 0));
    require(data.substr(0, static_cast<std::size_t>(result)).ends_with("\r\n\r\n"));
    for (std::uint32_t i = 0; i < head.count; ++i) {
      const auto& field = head.fields[i];
      require(field.value + field.value_bytes <= static_cast<std::uint32_t>(result));
      const std::string_view value = head.value_of(padded.data(), field);
      require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    }
  }
  return result;
}

// A head that is accepted is incomplete at every earlier byte; one that is refused was never
// accepted before.
void fuzz_head(std::string_view data, std::size_t cut) {
  coewsgi::RequestHead head(16);
  const int whole = parse(data, head);
  const int part = parse(data.substr(0, cut), head);
  if (whole > 0) {
    require(cut >= static_cast<std::size_t>(whole) ? part == whole : part == coewsgi::kIncomplete);
  } else {
    require(part <= 0);
    if (part < 0) require(whole < 0);
  }
}

struct Decoded {
  std::string body;
  std::string trailers;
  ChunkDecoder::Event end = ChunkDecoder::Event::kMore;
};

Decoded decode(const std::vector<std::string_view>& pieces, std::size_t most) {
  Decoded result;
  ChunkDecoder decoder;
  for (const std::string_view piece : pieces) {
    const std::unique_ptr<char[]> exact(new char[piece.size()]);
    piece.copy(exact.get(), piece.size());
    const char* at = exact.get();
    const char* end = at + piece.size();
    do {
      std::string_view data;
      result.end = decoder.next(&at, end, most, &data);
      if (result.end == ChunkDecoder::Event::kData) result.body.append(data);
    } while (result.end == ChunkDecoder::Event::kData);
    if (result.end != ChunkDecoder::Event::kMore) break;
  }
  result.trailers = decoder.trailers();
  return result;
}

void fuzz_chunks(std::string_view data, std::size_t cut) {
  const Decoded whole = decode({data}, SIZE_MAX);
  const Decoded cut_up = decode({data.substr(0, cut), data.substr(cut)}, 1 + cut % 7);
  require(whole.end == cut_up.end && whole.body == cut_up.body);
  require(whole.trailers == cut_up.trailers);
}

std::string read_frames(const std::vector<std::string_view>& pieces) {
  FrameReader reader({true, true, 65536});
  std::string seen;
  for (const std::string_view piece : pieces) {
    const std::unique_ptr<char[]> exact(new char[piece.size()]);
    piece.copy(exact.get(), piece.size());
    const char* at = exact.get();
    const char* end = at + piece.size();
    for (;;) {
      const FrameReader::Event event = reader.next(&at, end);
      if (event == FrameReader::Event::kMore) break;
      seen.push_back(static_cast<char>('0' + static_cast<int>(event)));
      if (event != FrameReader::Event::kFrame) return seen;
      require(reader.frame.payload.size() <= 65536);
      seen.append(reader.frame.payload);
    }
  }
  return seen;
}

void fuzz_proxy(std::string_view data, std::size_t cut) {
  coewsgi::ProxyHeader whole;
  coewsgi::ProxyHeader part;
  const int size = coewsgi::parse_proxy_header(data, &whole);
  const int before = coewsgi::parse_proxy_header(data.substr(0, cut), &part);
  require(size <= static_cast<int>(data.size()));
  if (size > 0) require(cut >= static_cast<std::size_t>(size) ? before == size : before == 0);
  if (before < 0) require(size < 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  const std::size_t cut = data.empty() ? 0 : bytes[1] * data.size() / 256;
  switch (bytes[0] % 4) {
    case 0:
      fuzz_head(data, cut);
      break;
    case 1:
      fuzz_chunks(data, cut);
      break;
    case 2:
      require(read_frames({data}) == read_frames({data.substr(0, cut), data.substr(cut)}));
      break;
    default:
      fuzz_proxy(data, cut);
      break;
  }
  return 0;
}
