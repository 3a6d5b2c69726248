#include "request_head.h"

namespace coewsgi {
namespace {

constexpr int kBadRequest = -400;
constexpr int kUriTooLong = -414;
constexpr int kExpectationFailed = -417;
constexpr int kFieldsTooLarge = -431;
constexpr int kNotImplemented = -501;
constexpr int kVersionNotSupported = -505;

constexpr std::size_t kLongestMethod = 32;
constexpr std::size_t kLongestName = 1024;

// One pass over one head: parse_head() in pieces.
class HeadParser {
 public:
  HeadParser(const char* data, std::size_t size, const HeadLimits& limits, FieldNames& names,
             RequestHead& head) noexcept
      : data_(data), at_(data), end_(data + size), limits_(limits), names_(names), head_(head) {}

  int parse() noexcept {
    head_.clear();
    int status = skip_empty_line();
    if (status == 0) status = parse_request_line();
    while (status == 0 && !done_) status = parse_line();
    if (status == kStop) return kIncomplete;
    if (status != 0) return status;
    return check_whole();
  }

 private:
  static constexpr int kStop = 1;  // the data ends here

  // The bytes of the line or field that begins at `begin` are not all there yet.
  [[nodiscard]] int stop(const char* begin, std::size_t limit, int status) const noexcept {
    if (static_cast<std::size_t>(end_ - begin) > limit) return status;
    return static_cast<std::size_t>(end_ - data_) > limits_.head_bytes ? kFieldsTooLarge : kStop;
  }

  // One empty line before a request is forgiven (RFC 9112, 2.2).
  int skip_empty_line() noexcept {
    if (at_ == end_ || *at_ != '\r') return 0;
    if (at_ + 1 == end_) return kStop;
    if (at_[1] != '\n') return kBadRequest;
    at_ += 2;
    return 0;
  }

  int parse_request_line() noexcept {
    const char* line = at_;
    const char* stop_at = at_;
    while (stop_at < end_ && is_token_byte(*stop_at)) ++stop_at;
    if (static_cast<std::size_t>(stop_at - at_) > kLongestMethod) return kNotImplemented;
    if (stop_at == end_) return kStop;
    if (*stop_at != ' ' || stop_at == at_) return kBadRequest;
    head_.method = {at_, static_cast<std::size_t>(stop_at - at_)};
    // Methods are case-sensitive; who would fold them sees another request.
    for (const char c : head_.method) {
      if ((c >= 'a' && c <= 'z') || c == '#') return kBadRequest;
    }
    at_ = stop_at + 1;
    stop_at = find_target_end(at_, end_);
    if (stop_at >= end_) return stop(line, limits_.line_bytes, kUriTooLong);
    constexpr std::size_t kVersionBytes = 11;  // " HTTP/1.1\r\n"
    if (static_cast<std::size_t>(stop_at - line) + kVersionBytes > limits_.line_bytes)
      return kUriTooLong;
    if (*stop_at != ' ' || stop_at == at_) return kBadRequest;
    head_.target = {at_, static_cast<std::size_t>(stop_at - at_)};
    at_ = stop_at + 1;
    if (const int status = parse_version()) return status;
    return check_target();
  }

  int parse_version() noexcept {
    constexpr std::string_view kPrefix = "HTTP/1.";
    const auto left = static_cast<std::size_t>(end_ - at_);
    const std::string_view rest(at_, left);
    if (left < 10) {  // refused as soon as it cannot become right
      if (rest.substr(0, 5) != kPrefix.substr(0, std::min<std::size_t>(left, 5)))
        return kBadRequest;
      return rest.find('\n') == std::string_view::npos ? kStop : kBadRequest;
    }
    if (rest.substr(0, 5) != "HTTP/") return kBadRequest;
    if (at_[5] != '1' || at_[6] != '.' || (at_[7] != '0' && at_[7] != '1')) {
      const bool is_version = is_digit(at_[5]) && at_[6] == '.' && is_digit(at_[7]);
      return is_version && at_[8] == '\r' && at_[9] == '\n' ? kVersionNotSupported : kBadRequest;
    }
    if (at_[8] != '\r' || at_[9] != '\n') return kBadRequest;
    head_.minor = at_[7] - '0';
    at_ += 10;
    return 0;
  }

  // The four forms of RFC 9112, 3.2.
  int check_target() noexcept {
    const std::string_view target = head_.target;
    const bool connect = head_.method == "CONNECT";
    if (target.find('#') != std::string_view::npos) return kBadRequest;
    if (target.front() == '/') return connect ? kBadRequest : 0;
    if (target.front() == '*') {
      return target.size() == 1 && head_.method == "OPTIONS" ? 0 : kBadRequest;
    }
    if (connect) {
      const std::size_t colon = target.rfind(':');
      const bool has_port = colon != std::string_view::npos && colon > 0 &&
                            colon + 1 < target.size() && target.back() != ']';
      return has_port && is_valid_host(target) ? 0 : kBadRequest;
    }
    const std::size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return kBadRequest;
    if (!equals_lower(target.substr(0, scheme), "http") &&
        !equals_lower(target.substr(0, scheme), "https"))
      return kBadRequest;
    const std::string_view rest = target.substr(scheme + 3);
    head_.authority = rest.substr(0, rest.find_first_of("/?"));
    return !head_.authority.empty() && is_valid_host(head_.authority) ? 0 : kBadRequest;
  }

  // A field, or the empty line that ends the head.
  int parse_line() noexcept {
    if (at_ >= end_) return stop(at_, limits_.field_bytes, kFieldsTooLarge);
    if (*at_ == '\r') {
      if (at_ + 1 >= end_) return kStop;
      if (at_[1] != '\n') return kBadRequest;
      at_ += 2;
      done_ = true;
      return 0;
    }
    Field field{};
    if (const int status = parse_name(field)) return status;
    if (const int status = parse_value(field)) return status;
    if (head_.count == limits_.fields) return kFieldsTooLarge;
    const int status = interpret(field);
    head_.fields[head_.count++] = field;
    return status;
  }

  int parse_name(Field& field) noexcept {
    const char* name = at_;
    const char* colon = find_colon(at_, end_);
    std::uint64_t hash = 0;
    const auto apart = static_cast<std::size_t>(colon - name);
    if (colon < end_ && apart > 0 && apart <= FieldNames::longest()) {
      hash = FieldNames::hash(name, apart);
      field.known = names_.find(name, apart, hash);
    }
    if (field.known != nullptr) {
      field.kind = field.known->kind;
    } else {
      bool underscore = false;
      for (colon = name; colon < end_ && is_token_byte(*colon); ++colon) {
        underscore |= *colon == '_';
      }
      if (colon >= end_) return stop(name, limits_.field_bytes, kFieldsTooLarge);
      if (*colon != ':' || colon == name) return kBadRequest;
      const std::string_view bytes(name, colon - name);
      field.kind = underscore ? FieldKind::kUnderscore : kind_of_field(bytes);
      if (bytes.size() <= FieldNames::longest())
        field.known = names_.add(name, bytes.size(), hash, field.kind);
    }
    field.name = static_cast<std::uint32_t>(name - data_);
    field.name_bytes = static_cast<std::uint32_t>(colon - name);
    if (field.name_bytes > kLongestName) return kFieldsTooLarge;
    at_ = colon + 1;
    return 0;
  }

  int parse_value(Field& field) noexcept {
    const char* name = data_ + field.name;
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
    const char* stop_at = find_value_end(at_, end_);
    if (stop_at >= end_) return stop(name, limits_.field_bytes, kFieldsTooLarge);
    if (*stop_at != '\r') return kBadRequest;
    if (stop_at + 1 >= end_) return stop(name, limits_.field_bytes, kFieldsTooLarge);
    if (stop_at[1] != '\n') return kBadRequest;
    if (static_cast<std::size_t>(stop_at - name) + 2 > limits_.field_bytes) return kFieldsTooLarge;
    const char* last = stop_at;
    while (last > at_ && (last[-1] == ' ' || last[-1] == '\t')) --last;
    field.value = static_cast<std::uint32_t>(at_ - data_);
    field.value_bytes = static_cast<std::uint32_t>(last - at_);
    at_ = stop_at + 2;
    return 0;
  }

  // What a field means to the connection.
  int interpret(Field& field) noexcept {
    const std::string_view value = head_.value_of(data_, field);
    switch (field.kind) {
      case FieldKind::kHost:
        if (head_.has_host || !is_valid_host(value)) return kBadRequest;
        head_.has_host = true;
        return 0;
      case FieldKind::kContentLength:
        return interpret_length(value);
      case FieldKind::kTransferEncoding:
        return interpret_encoding(value);
      case FieldKind::kConnection:
        for_each_element(value, [this](std::string_view element) {
          close_ |= equals_lower(element, "close");
          keep_ |= equals_lower(element, "keep-alive");
          head_.wants_upgrade |= equals_lower(element, "upgrade");
        });
        return 0;
      case FieldKind::kUpgrade:
        for_each_element(value, [this](std::string_view element) {
          head_.wants_websocket |= equals_lower(element, "websocket");
        });
        return 0;
      case FieldKind::kContentType:
        if (head_.has_type) return kBadRequest;
        head_.has_type = true;
        return 0;
      case FieldKind::kExpect:
        if (head_.minor == 0) return 0;  // RFC 9110, 10.1.1: ignored there
        if (!equals_lower(value, "100-continue")) return kExpectationFailed;
        head_.expects_continue = true;
        return 0;
      case FieldKind::kUnderscore:
        return limits_.header_map == HeaderMap::kRefuse ? kBadRequest : 0;
      default:
        return 0;
    }
  }

  // One field with digits and nothing else: no list, no sign, no second one, though equal.
  int interpret_length(std::string_view value) noexcept {
    constexpr std::size_t kMostDigits = 18;  // below 2**63
    if (head_.content_length >= 0 || value.empty() || value.size() > kMostDigits)
      return kBadRequest;
    std::int64_t length = 0;
    for (const char c : value) {
      if (!is_digit(c)) return kBadRequest;
      length = length * 10 + (c - '0');
    }
    head_.content_length = length;
    return 0;
  }

  // Exactly "chunked", once; another coding could not be undone here.
  int interpret_encoding(std::string_view value) noexcept {
    if (head_.minor == 0 || encoded_) return kBadRequest;
    encoded_ = true;
    unsigned elements = 0;
    bool other = false;
    const bool whole = for_each_element(value, [&](std::string_view element) {
      ++elements;
      other |= !equals_lower(element, "chunked");
    });
    if (!whole) return kBadRequest;
    for (const char c : value) {
      const bool fits =
          is_token_byte(c) || c == ',' || c == ' ' || c == '\t' || c == ';' || c == '=' || c == '"';
      if (!fits) return kBadRequest;
    }
    if (other || elements != 1) return elements > 1 && !other ? kBadRequest : kNotImplemented;
    head_.chunked = true;
    return 0;
  }

  int check_whole() noexcept {
    const auto size = static_cast<std::size_t>(at_ - data_);
    if (size > limits_.head_bytes) return kFieldsTooLarge;
    if (head_.chunked && head_.content_length >= 0) return kBadRequest;
    if (head_.minor == 1 && !head_.has_host && limits_.require_host) return kBadRequest;
    head_.keep_alive = !close_ && (head_.minor == 1 || keep_);
    head_.wants_upgrade &= head_.minor == 1;
    head_.wants_websocket &= head_.wants_upgrade;
    return static_cast<int>(size);
  }

  const char* data_;
  const char* at_;
  const char* end_;
  const HeadLimits& limits_;
  FieldNames& names_;
  RequestHead& head_;
  bool done_ = false;
  bool encoded_ = false;
  bool close_ = false;
  bool keep_ = false;
};

}  // namespace

int parse_head(const char* data, std::size_t size, const HeadLimits& limits, FieldNames& names,
               RequestHead& head) noexcept {
  return HeadParser(data, size, limits, names, head).parse();
}

bool is_valid_host(std::string_view host) noexcept {
  std::size_t i = 0;
  if (!host.empty() && host.front() == '[') {
    for (i = 1; i < host.size() && host[i] != ']'; ++i) {
      if (hex_digit(host[i]) < 0 && host[i] != ':' && host[i] != '.') return false;
    }
    if (i < 3 || i == host.size()) return false;
    ++i;
  } else {
    while (i < host.size() && kCharacters.host[static_cast<unsigned char>(host[i])]) ++i;
  }
  if (i == host.size()) return true;
  if (host[i] != ':') return false;
  for (++i; i < host.size(); ++i) {
    if (!is_digit(host[i])) return false;
  }
  return true;
}

bool parse_trailer(std::string_view line, std::string_view* name,
                   std::string_view* value) noexcept {
  std::size_t colon = 0;
  bool underscore = false;
  for (; colon < line.size() && is_token_byte(line[colon]); ++colon) {
    underscore |= line[colon] == '_';
  }
  if (colon == 0 || colon == line.size() || line[colon] != ':' || underscore) return false;
  *name = line.substr(0, colon);
  const FieldKind kind = kind_of_field(*name);
  if (kind != FieldKind::kOther && kind != FieldKind::kContentType) return false;
  std::string_view rest = line.substr(colon + 1);
  for (const char c : rest) {
    if (!is_value_byte(c)) return false;
  }
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\t')) rest.remove_suffix(1);
  *value = rest;
  return true;
}

}  // namespace coewsgi
