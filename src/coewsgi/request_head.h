// The head of an HTTP/1.x request, read strictly (RFC 9112, RFC 9110): what two parsers
// could read differently is refused, never repaired.
//
// Knows nothing of Python or sockets. One pass, linear in the size of the head.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "field_names.h"

namespace coewsgi {

enum class HeaderMap : std::uint8_t { kDrop, kRefuse, kDangerous };

struct HeadLimits {
  std::uint32_t line_bytes = 8190;
  std::uint32_t field_bytes = 8190;
  std::uint32_t fields = 100;
  std::uint32_t head_bytes = 65536;
  HeaderMap header_map = HeaderMap::kDrop;
  bool require_host = true;
};

struct Field {
  std::uint32_t name;  // offsets from the begin of the head
  std::uint32_t value;
  std::uint32_t name_bytes;
  std::uint32_t value_bytes;
  FieldNames::Name* known;  // not owned; nullptr where the table has no room
  FieldKind kind;
};

struct RequestHead {
  explicit RequestHead(std::uint32_t capacity) : fields(new Field[capacity]) {}

  [[nodiscard]] std::string_view name_of(const char* head, const Field& field) const noexcept {
    return {head + field.name, field.name_bytes};
  }
  [[nodiscard]] std::string_view value_of(const char* head, const Field& field) const noexcept {
    return {head + field.value, field.value_bytes};
  }

  // Views into the parsed bytes.
  std::string_view method;
  std::string_view target;
  std::string_view authority;  // of a target in absolute form, which overrides Host
  int minor = 1;               // of HTTP/1.x
  std::uint32_t count = 0;
  std::int64_t content_length = -1;  // -1: no such field
  bool chunked = false;
  bool keep_alive = false;
  bool expects_continue = false;
  bool has_host = false;
  bool has_type = false;
  bool wants_upgrade = false;    // Connection lists "upgrade"
  bool wants_websocket = false;  // and Upgrade is "websocket"
  std::unique_ptr<Field[]> fields;

  void clear() noexcept {
    authority = {};
    count = 0;
    content_length = -1;
    chunked = expects_continue = has_host = has_type = false;
    wants_upgrade = wants_websocket = false;
  }
};

inline constexpr int kIncomplete = 0;

// Above 0: the size of the head, which is complete; kIncomplete; below 0: minus the status
// that refuses the request.
// REQUIRES: kPadding readable bytes behind the data; head.fields has limits.fields entries.
int parse_head(const char* data, std::size_t size, const HeadLimits& limits, FieldNames& names,
               RequestHead& head) noexcept;

// The field line [begin, end), without its CRLF, of a trailer section: the same grammar.
// Fields of framing, routing and of the request itself may not come at its end (RFC 9110,
// 6.5.1). false: refuse. name and value view into the line.
bool parse_trailer(std::string_view line, std::string_view* name, std::string_view* value) noexcept;

bool is_valid_host(std::string_view host) noexcept;

// Calls each(element) for what stands between the commas of a list, without the
// white space around. false: one element is empty.
template <typename Each>
bool for_each_element(std::string_view list, Each each) noexcept {
  bool whole = true;
  for (;;) {
    const std::size_t comma = list.find(',');
    std::string_view element = list.substr(0, comma);
    while (!element.empty() && (element.front() == ' ' || element.front() == '\t'))
      element.remove_prefix(1);
    while (!element.empty() && (element.back() == ' ' || element.back() == '\t'))
      element.remove_suffix(1);
    if (element.empty())
      whole = false;
    else
      each(element);
    if (comma == std::string_view::npos) return whole;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace coewsgi
