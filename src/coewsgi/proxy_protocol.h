// The PROXY protocol, versions 1 and 2 (HAProxy's specification): a header that a proxy
// puts before a connection's first byte, with the address of the client.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coewsgi {

inline constexpr std::size_t kLongestProxyHeader = 536;  // 16 + addresses + 484 bytes of TLVs

struct ProxyHeader {
  std::string address;  // empty: LOCAL, UNKNOWN or no internet address
  int port = 0;
};

// Above 0: the header's size; 0: `data` ends within the header; -1: that is none.
int parse_proxy_header(std::string_view data, ProxyHeader* header) noexcept;

}  // namespace coewsgi
