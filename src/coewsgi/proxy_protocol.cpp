#include "proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace coewsgi {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kPrefix = "PROXY ";
constexpr std::size_t kLongestLine = 107;

bool is_prefix_of(std::string_view data, std::string_view whole) noexcept {
  return data.substr(0, whole.size()) == whole.substr(0, data.size());
}

// The next word up to a single space; the last one ends with the line.
std::string_view take_word(std::string_view* line) noexcept {
  const std::size_t space = line->find(' ');
  const std::string_view word = line->substr(0, space);
  line->remove_prefix(space == std::string_view::npos ? line->size() : space + 1);
  return word;
}

// 0 to 65535 in decimal, without leading zeros; -1 otherwise.
int parse_port(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return -1;
  int port = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return -1;
    port = port * 10 + (c - '0');
  }
  return port <= 65535 ? port : -1;
}

// The canonical form of an address; empty: it is none.
std::string parse_address(int family, std::string_view text) noexcept {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  const std::string terminated(text);
  if (inet_pton(family, terminated.c_str(), bytes.data()) != 1) return {};
  inet_ntop(family, bytes.data(), canonical.data(), canonical.size());
  return canonical.data();
}

int parse_line(std::string_view data, ProxyHeader* header) noexcept {
  const std::size_t end = data.substr(0, kLongestLine).find('\n');
  if (end == std::string_view::npos) return data.size() >= kLongestLine ? -1 : 0;
  if (data[end - 1] != '\r') return -1;
  std::string_view line = data.substr(kPrefix.size(), end - 1 - kPrefix.size());
  const int size = static_cast<int>(end) + 1;
  const std::string_view protocol = take_word(&line);
  if (protocol == "UNKNOWN") return size;
  if (protocol != "TCP4" && protocol != "TCP6") return -1;
  const int family = protocol == "TCP4" ? AF_INET : AF_INET6;
  std::string source = parse_address(family, take_word(&line));
  const std::string destination = parse_address(family, take_word(&line));
  const int source_port = parse_port(take_word(&line));
  const int destination_port = parse_port(line);
  if (source.empty() || destination.empty() || source_port < 0 || destination_port < 0) return -1;
  header->address = std::move(source);
  header->port = source_port;
  return size;
}

int parse_binary(std::string_view data, ProxyHeader* header) noexcept {
  constexpr std::size_t kFixed = 16;
  if (data.size() < kFixed) return 0;
  const auto byte = [data](std::size_t i) { return static_cast<unsigned char>(data[i]); };
  const unsigned version = byte(12) >> 4;
  const unsigned command = byte(12) & 15U;
  const unsigned family = byte(13) >> 4;
  const std::size_t size = kFixed + (byte(14) << 8) + byte(15);
  if (version != 2 || command > 1 || family > 3 || (byte(13) & 15U) > 2) return -1;
  if (size > kLongestProxyHeader) return -1;
  const std::size_t address_bytes = family == 1 ? 4 : 16;
  const bool has_address = command == 1 && (family == 1 || family == 2);
  if (has_address && size < kFixed + 2 * address_bytes + 4) return -1;
  if (data.size() < size) return 0;
  if (has_address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(family == 1 ? AF_INET : AF_INET6, data.data() + kFixed, text.data(), text.size());
    header->address = text.data();
    const std::size_t port = kFixed + 2 * address_bytes;
    header->port = (byte(port) << 8) + byte(port + 1);
  }
  return static_cast<int>(size);
}

}  // namespace

int parse_proxy_header(std::string_view data, ProxyHeader* header) noexcept {
  if (is_prefix_of(data, kSignature)) {
    return data.size() < kSignature.size() ? 0 : parse_binary(data, header);
  }
  if (!is_prefix_of(data, kPrefix)) return -1;
  return data.size() < kPrefix.size() ? 0 : parse_line(data, header);
}

}  // namespace coewsgi
