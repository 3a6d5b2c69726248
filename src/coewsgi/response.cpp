#include "response.h"

#include <array>
#include <charconv>

#include "request_head.h"
#include "runtime.h"
#include "server.h"

namespace coewsgi {
namespace {

bool fail(const char* text) noexcept {
  PyErr_SetString(PyExc_ValueError, text);
  return false;
}

bool is_value(std::string_view text) noexcept {
  for (const char c : text) {
    if (!is_value_byte(c)) return false;
  }
  return true;
}

// The bytes of a str of latin-1 characters. Borrowed from `object`.
bool as_latin1(PyObject* object, std::string_view* text) noexcept {
  if (PyUnicode_Check(object) == 0) {
    PyErr_Format(PyExc_TypeError, "status and headers are str, not %.100s",
                 Py_TYPE(object)->tp_name);
    return false;
  }
  if (PyUnicode_KIND(object) != PyUnicode_1BYTE_KIND) return fail("a header is not latin-1");
  *text = {reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(object)),
           static_cast<std::size_t>(PyUnicode_GET_LENGTH(object))};
  return true;
}

bool is_hop_by_hop(std::string_view name) noexcept {
  switch (name.size()) {
    case 2:
      return equals_lower(name, "te");
    case 7:
      return equals_lower(name, "trailer") || equals_lower(name, "upgrade");
    case 8:
      return equals_lower(name, "trailers");
    case 10:
      return equals_lower(name, "connection") || equals_lower(name, "keep-alive");
    case 17:
      return equals_lower(name, "transfer-encoding");
    case 16:
      return equals_lower(name, "proxy-connection");
    case 18:
      return equals_lower(name, "proxy-authenticate");
    case 19:
      return equals_lower(name, "proxy-authorization");
    default:
      return false;
  }
}

bool note_length(Response& response, std::string_view value) noexcept {
  std::int64_t length = 0;
  if (value.empty() || value.size() > 18) return fail("invalid Content-Length");
  for (const char c : value) {
    if (!is_digit(c)) return fail("invalid Content-Length");
    length = length * 10 + (c - '0');
  }
  if (response.length >= 0) return fail("Content-Length is given twice");
  response.length = length;
  return true;
}

// What the field means to the framing. 1: keep it; 0: leave it out; -1: an exception is set.
int note_field(Response& response, std::string_view name, std::string_view value) noexcept {
  switch (name.size()) {
    case 4:
      if (equals_lower(name, "date")) response.has_date = true;
      break;
    case 6:
      if (equals_lower(name, "server")) response.has_server = true;
      break;
    case 14:
      if (!equals_lower(name, "content-length")) break;
      if (response.status == 204) return 0;  // RFC 9110, 8.6
      return note_length(response, value) ? 1 : -1;
    default:
      break;
  }
  return 1;
}

void append_number(std::string& text, std::int64_t number, int base) noexcept {
  std::array<char, 24> digits;
  const auto [end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), number, base);
  text.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

// Completes the head. `length` -1: nobody knows it yet.
void end_head(Response& response, std::int64_t length) noexcept {
  std::string& head = response.head;
  const Server& server = response.connection->server;
  const bool without_body = response.status == 204 || response.status == 304;
  response.has_no_body = response.to_head || without_body;
  if (!response.has_date) head.append(date_field());
  if (!response.has_server) head.append(server.settings().server_field);
  if (response.length < 0 && !without_body) {
    if (length >= 0) {
      response.length = length;
      // What a GET would have brought is not known from an empty answer to HEAD.
      if (!response.to_head || length > 0) {
        head.append("Content-Length: ");
        append_number(head, length, 10);
        head.append("\r\n");
      }
    } else if (response.minor == 1) {
      response.chunked = true;
      head.append("Transfer-Encoding: chunked\r\n");
    } else if (!response.to_head) {
      response.keep_alive = false;
    }
  }
  if (server.draining()) response.keep_alive = false;
  if (!response.keep_alive) {
    head.append("Connection: close\r\n");
  } else if (response.minor == 0) {
    head.append("Connection: keep-alive\r\n");
  }
  head.append("\r\n");
  response.head_sent = true;
}

// How much of `size` more bytes may be sent.
std::size_t within_length(Response& response, std::size_t size) noexcept {
  if (response.length < 0 || response.chunked || response.to_head) return size;
  const auto left = static_cast<std::uint64_t>(response.length - response.written);
  if (size <= left) return size;
  response.was_cut = true;
  return left;
}

bool check_started(const Response& response) noexcept {
  if (response.started) return true;
  PyErr_SetString(PyExc_AssertionError, "a body without start_response()");
  return false;
}

}  // namespace

void Response::clear() noexcept {
  started = head_sent = chunked = has_no_body = was_cut = false;
  length = -1;
  written = 0;
  status_object.reset();
  fields.reset();
}

bool Response::start(PyObject* status_line, PyObject* field_list) noexcept {
  std::string_view line;
  if (!as_latin1(status_line, &line)) return false;
  const bool is_status = line.size() >= 4 && is_digit(line[0]) && is_digit(line[1]) &&
                         is_digit(line[2]) && line[3] == ' ' && is_value(line);
  if (!is_status || line[0] < '2' || line[0] > '5') return fail("invalid status");
  if (PyList_Check(field_list) == 0) {
    PyErr_Format(PyExc_TypeError, "headers are a list, not %.100s", Py_TYPE(field_list)->tp_name);
    return false;
  }
  started = false;  // until all of it is right
  status = (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
  has_date = has_server = false;
  length = -1;
  head.assign("HTTP/1.1 ").append(line).append("\r\n");
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(field_list); ++i) {
    if (!append_field(head, PyList_GET_ITEM(field_list, i), this)) return false;
  }
  if (connection->server.settings().access_log) {
    status_object = Ref::borrow(status_line);
    fields = Ref::borrow(field_list);
  }
  started = true;
  return true;
}

bool append_field(std::string& head, PyObject* field, Response* response) noexcept {
  if (PyTuple_Check(field) == 0 || PyTuple_GET_SIZE(field) != 2) {
    PyErr_SetString(PyExc_TypeError, "a header is a tuple of two str");
    return false;
  }
  std::string_view name;
  std::string_view value;
  if (!as_latin1(PyTuple_GET_ITEM(field, 0), &name) ||
      !as_latin1(PyTuple_GET_ITEM(field, 1), &value))
    return false;
  bool is_token = !name.empty();
  for (const char c : name) is_token &= is_token_byte(c);
  if (!is_token) return fail("invalid header name");
  if (!is_value(value)) return fail("a header's value has a control character");
  if (is_hop_by_hop(name)) return fail("hop-by-hop headers are the server's (PEP 3333)");
  const int keep = response == nullptr ? 1 : note_field(*response, name, value);
  if (keep < 0) return false;
  if (keep > 0) head.append(name).append(": ").append(value).append("\r\n");
  return true;
}

Sent send_body(Response& response, std::string_view data, bool is_last) noexcept {
  if (!check_started(response)) return Sent::kRaised;
  constexpr std::size_t kCopied = 4096;  // cheaper than a second part for the kernel
  data = data.substr(0, within_length(response, data.size()));
  if (data.empty() && !is_last) return Sent::kAll;
  response.written += static_cast<std::int64_t>(data.size());
  std::array<iovec, 4> parts;
  int count = 0;
  const bool with_head = !response.head_sent;
  if (with_head) end_head(response, is_last ? static_cast<std::int64_t>(data.size()) : -1);
  if (response.has_no_body) data = {};
  if (with_head) {
    if (!response.chunked && data.size() <= kCopied) {
      response.head.append(data);
      data = {};
    }
    parts[count++] = {response.head.data(), response.head.size()};
  }
  std::string size;
  if (!data.empty() && response.chunked) {
    append_number(size, static_cast<std::int64_t>(data.size()), 16);
    size.append("\r\n");
    parts[count++] = {size.data(), size.size()};
  }
  if (!data.empty()) parts[count++] = {const_cast<char*>(data.data()), data.size()};
  if (!data.empty() && response.chunked) parts[count++] = {const_cast<char*>("\r\n"), 2};
  return count == 0 ? Sent::kAll : send_all(*response.connection, parts.data(), count);
}

Sent send_whole(Response& response, PyObject* tuple) noexcept {
  if (!check_started(response)) return Sent::kRaised;
  constexpr Py_ssize_t kMostParts = 64;
  const Py_ssize_t items = PyTuple_GET_SIZE(tuple);
  std::int64_t total = 0;
  for (Py_ssize_t i = 0; i < items; ++i) total += PyBytes_GET_SIZE(PyTuple_GET_ITEM(tuple, i));
  if (!response.head_sent) end_head(response, total);
  std::array<iovec, kMostParts + 1> parts;
  int count = 0;
  parts[count++] = {response.head.data(), response.head.size()};
  for (Py_ssize_t i = 0; i < items && !response.has_no_body; ++i) {
    PyObject* item = PyTuple_GET_ITEM(tuple, i);
    const std::size_t size =
        within_length(response, static_cast<std::size_t>(PyBytes_GET_SIZE(item)));
    response.written += static_cast<std::int64_t>(size);
    if (size != 0) parts[count++] = {PyBytes_AS_STRING(item), size};
    if (count <= kMostParts) continue;
    const Sent sent = send_all(*response.connection, parts.data(), count);
    if (sent != Sent::kAll) return sent;
    count = 0;
  }
  return count == 0 ? Sent::kAll : send_all(*response.connection, parts.data(), count);
}

Sent finish(Response& response) noexcept {
  if (!check_started(response)) return Sent::kRaised;
  if (!response.head_sent) return send_body(response, {}, true);
  if (response.chunked && !response.has_no_body) {
    return send_all(*response.connection, "0\r\n\r\n");
  }
  const bool is_short = response.length >= 0 && response.written < response.length;
  if (is_short && !response.has_no_body) response.connection->lost = true;
  return Sent::kAll;
}

Sent send_head(Response& response, std::int64_t length) noexcept {
  if (!check_started(response)) return Sent::kRaised;
  end_head(response, length);
  return send_all(*response.connection, response.head);
}

bool as_bytes(PyObject* object, std::string_view* data) noexcept {
  if (PyBytes_Check(object) == 0) {
    PyErr_Format(PyExc_TypeError, "the body is made of bytes, not %.100s",
                 Py_TYPE(object)->tp_name);
    return false;
  }
  *data = {PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object))};
  return true;
}

}  // namespace coewsgi
