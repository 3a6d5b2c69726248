#include "protocol.h"

#include <charconv>
#include <cstring>

namespace evmemcached {
namespace {

// Takes the text up to the next blank off the front of `rest`.
std::string_view next_word(std::string_view* rest) noexcept {
  while (!rest->empty() && rest->front() == ' ') rest->remove_prefix(1);
  const std::size_t end = rest->find(' ');
  const std::string_view word = rest->substr(0, end);
  rest->remove_prefix(word.size());
  return word;
}

template <typename Number>
bool parse_number(std::string_view text, Number* number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool is_decimal(std::string_view text) noexcept {
  for (const char byte : text) {
    if (byte < '0' || byte > '9') return false;
  }
  return !text.empty();
}

// The data block behind a header that takes `head` bytes with its \r\n.
Parsing parse_data(std::string_view bytes, std::size_t head, std::uint64_t size, Reply* reply,
                   std::size_t* used) noexcept {
  if (size > kLargestValue) return Parsing::kBad;
  const std::size_t total = head + static_cast<std::size_t>(size) + 2;
  *used = total;
  if (bytes.size() < total) return Parsing::kNeedsMore;
  if (bytes[total - 2] != '\r' || bytes[total - 1] != '\n') return Parsing::kBad;
  reply->value = bytes.substr(head, static_cast<std::size_t>(size));
  reply->has_value = true;
  return Parsing::kReply;
}

Parsing parse_value(std::string_view bytes, std::size_t head, Reply* reply,
                    std::size_t* used) noexcept {
  std::string_view rest = reply->line.substr(std::strlen("VALUE "));
  reply->kind = Kind::kValue;
  reply->key = next_word(&rest);
  std::uint64_t size = 0;
  if (reply->key.empty() || !parse_number(next_word(&rest), &reply->flags) ||
      !parse_number(next_word(&rest), &size)) {
    return Parsing::kBad;
  }
  if (const std::string_view cas = next_word(&rest); !cas.empty()) {
    if (!parse_number(cas, &reply->cas)) return Parsing::kBad;
    reply->has_cas = true;
  }
  if (!next_word(&rest).empty()) return Parsing::kBad;
  return parse_data(bytes, head, size, reply, used);
}

bool is_meta(std::string_view line) noexcept {
  if (line.size() < 2 || (line.size() > 2 && line[2] != ' ')) return false;
  for (const char* known : {"HD", "VA", "EN", "NS", "EX", "NF", "MN", "ME"}) {
    if (line.substr(0, 2) == known) return true;
  }
  return false;
}

Parsing parse_meta(std::string_view bytes, std::size_t head, Reply* reply,
                   std::size_t* used) noexcept {
  reply->kind = Kind::kMeta;
  if (!reply->line.starts_with("VA")) return Parsing::kReply;
  std::string_view rest = reply->line.substr(2);
  std::uint64_t size = 0;
  if (!parse_number(next_word(&rest), &size)) return Parsing::kBad;
  return parse_data(bytes, head, size, reply, used);
}

struct Word {
  std::string_view text;
  Kind kind;
};
constexpr Word kWords[] = {
    {"END", Kind::kEnd},
    {"STORED", Kind::kStored},
    {"NOT_STORED", Kind::kNotStored},
    {"EXISTS", Kind::kExists},
    {"NOT_FOUND", Kind::kNotFound},
    {"DELETED", Kind::kDeleted},
    {"TOUCHED", Kind::kTouched},
    {"OK", Kind::kOk},
    {"ERROR", Kind::kError},
};

Kind kind_of(std::string_view line, std::uint64_t* number) noexcept {
  for (const Word& word : kWords) {
    if (line == word.text) return word.kind;
  }
  if (line.starts_with("CLIENT_ERROR")) return Kind::kClientError;
  if (line.starts_with("SERVER_ERROR")) return Kind::kServerError;
  // decr leaves blanks where a number got shorter.
  const std::string_view digits = line.substr(0, line.find_last_not_of(' ') + 1);
  if (is_decimal(digits) && parse_number(digits, number)) return Kind::kNumber;
  return Kind::kLine;
}

}  // namespace

Parsing parse_reply(std::string_view bytes, Reply* reply, std::size_t* used) noexcept {
  *reply = Reply{};
  const std::size_t newline = bytes.substr(0, kLongestLine).find('\n');
  if (newline == std::string_view::npos) {
    *used = bytes.size() + 1;
    return bytes.size() < kLongestLine ? Parsing::kNeedsMore : Parsing::kBad;
  }
  if (newline == 0 || bytes[newline - 1] != '\r') return Parsing::kBad;
  const std::size_t head = newline + 1;
  reply->line = bytes.substr(0, newline - 1);
  *used = head;
  if (reply->line.starts_with("VALUE ")) return parse_value(bytes, head, reply, used);
  if (is_meta(reply->line)) return parse_meta(bytes, head, reply, used);
  reply->kind = kind_of(reply->line, &reply->number);
  return reply->line.empty() ? Parsing::kBad : Parsing::kReply;
}

bool is_clean_key(std::string_view key, bool strict) noexcept {
  for (const char signed_byte : key) {
    const auto byte = static_cast<unsigned char>(signed_byte);
    if (byte > ' ' && byte != 0x7f) continue;
    if (strict || byte == 0 || byte == ' ' || (byte >= '\t' && byte <= '\r')) return false;
  }
  return !key.empty();
}

std::string_view opaque_of(std::string_view line) noexcept {
  std::string_view rest = line.substr(line.size() < 2 ? line.size() : 2);
  for (std::string_view word = next_word(&rest); !word.empty(); word = next_word(&rest)) {
    if (word.front() == 'O') return word.substr(1);
  }
  return {};
}

}  // namespace evmemcached
