#include "error_response.h"

#include <string>

#include "server.h"

namespace coewsgi {

std::string_view status_line(int status) noexcept {
  switch (status) {
    case 400:
      return "400 Bad Request";
    case 408:
      return "408 Request Timeout";
    case 413:
      return "413 Content Too Large";
    case 414:
      return "414 URI Too Long";
    case 417:
      return "417 Expectation Failed";
    case 431:
      return "431 Request Header Fields Too Large";
    case 501:
      return "501 Not Implemented";
    case 503:
      return "503 Service Unavailable";
    case 505:
      return "505 HTTP Version Not Supported";
    default:
      return "500 Internal Server Error";
  }
}

Sent send_error(Connection& connection, int status, bool without_body) noexcept {
  const std::string_view line = status_line(status);
  std::string text = "HTTP/1.1 ";
  text.append(line).append("\r\n").append(date_field());
  text.append(connection.server.settings().server_field);
  text.append("Content-Type: text/plain\r\nContent-Length: ");
  text.append(std::to_string(line.size() + 1)).append("\r\nConnection: close\r\n\r\n");
  if (!without_body) text.append(line).append("\n");
  connection.server.counters().count_response(status);
  return send_all(connection, text);
}

}  // namespace coewsgi
