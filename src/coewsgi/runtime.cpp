#include "runtime.h"

#include <array>
#include <utility>

namespace coewsgi {
namespace {

bool make_strings() noexcept {
  const std::array<std::pair<PyObject**, const char*>, 29> table = {{
      {&strings.request_method, "REQUEST_METHOD"},
      {&strings.path_info, "PATH_INFO"},
      {&strings.query_string, "QUERY_STRING"},
      {&strings.request_uri, "REQUEST_URI"},
      {&strings.raw_uri, "RAW_URI"},
      {&strings.server_protocol, "SERVER_PROTOCOL"},
      {&strings.remote_addr, "REMOTE_ADDR"},
      {&strings.remote_port, "REMOTE_PORT"},
      {&strings.content_type, "CONTENT_TYPE"},
      {&strings.content_length, "CONTENT_LENGTH"},
      {&strings.http_host, "HTTP_HOST"},
      {&strings.wsgi_input, "wsgi.input"},
      {&strings.wsgi_errors, "wsgi.errors"},
      {&strings.wsgi_trailers, "wsgi.trailers"},
      {&strings.early_hints, "wsgi.early_hints"},
      {&strings.client_disconnected, "coewsgi.client_disconnected"},
      {&strings.early_hints_name, "early_hints"},
      {&strings.client_disconnected_name, "client_disconnected"},
      {&strings.http10, "HTTP/1.0"},
      {&strings.http11, "HTTP/1.1"},
      {&strings.empty, ""},
      {&strings.close, "close"},
      {&strings.read, "read"},
      {&strings.fileno, "fileno"},
      {&strings.tell, "tell"},
      {&strings.settimeout, "settimeout"},
      {&strings.recv_into, "recv_into"},
      {&strings.sendall, "sendall"},
      {&strings.pending, "pending"},
  }};
  for (const auto& [string, text] : table) {
    *string = PyUnicode_InternFromString(text);
    if (*string == nullptr) return false;
  }
  return true;
}

bool make_exceptions() noexcept {
  exceptions.request_timeout = PyErr_NewExceptionWithDoc(
      "coewsgi.RequestTimeout", "The request has taken longer than request_timeout.",
      PyExc_TimeoutError, nullptr);
  exceptions.bad_request = PyErr_NewExceptionWithDoc(
      "coewsgi.BadRequest", "The request is refused with 400.", PyExc_ValueError, nullptr);
  exceptions.client_disconnected = PyErr_NewExceptionWithDoc(
      "coewsgi.ClientDisconnected", "The client is gone, or its body breaks the framing.",
      PyExc_ConnectionError, nullptr);
  const Ref code = Ref::steal(Py_BuildValue("{s:i,s:[]}", "close_code", 1002, "frames"));
  if (!code) return false;
  exceptions.frame_error = PyErr_NewExceptionWithDoc(
      "coewsgi.FrameError", "A frame that ends a websocket.", PyExc_ValueError, code.get());
  const Ref module = Ref::steal(PyImport_ImportModule("coev"));
  if (!module) return false;
  exceptions.coroutine_exit = PyObject_GetAttrString(module.get(), "CoroutineExit");
  return exceptions.request_timeout != nullptr && exceptions.bad_request != nullptr &&
         exceptions.client_disconnected != nullptr && exceptions.frame_error != nullptr &&
         exceptions.coroutine_exit != nullptr;
}

// The names that honest clients send have their places before anybody else can take them.
void reserve_usual_names() noexcept {
  constexpr std::array kUsual = {
      "Host",
      "User-Agent",
      "Accept",
      "Accept-Encoding",
      "Cookie",
      "Accept-Language",
      "Connection",
      "Cache-Control",
      "Content-Length",
      "Content-Type",
      "Referer",
      "Origin",
      "Authorization",
      "If-None-Match",
      "If-Modified-Since",
      "Range",
      "Sec-Fetch-Site",
      "Sec-Fetch-Mode",
      "Sec-Fetch-Dest",
      "Upgrade-Insecure-Requests",
      "X-Forwarded-For",
      "X-Forwarded-Proto",
      "X-Forwarded-Host",
      "X-Real-IP",
      "Forwarded",
      "X-Requested-With",
      "Transfer-Encoding",
      "Expect",
      "Pragma",
      "DNT",
      "Via",
      "Upgrade",
  };
  for (const char* name : kUsual) {
    std::array<char, 64> bytes{};
    std::size_t size = 0;
    for (; name[size] != 0; ++size) bytes[size] = name[size];
    const FieldKind kind = kind_of_field({bytes.data(), size});
    field_names.add(bytes.data(), size, FieldNames::hash(bytes.data(), size), kind);
    for (std::size_t i = 0; i < size; ++i) {
      if (bytes[i] >= 'A' && bytes[i] <= 'Z') bytes[i] = static_cast<char>(bytes[i] | 0x20);
    }
    field_names.add(bytes.data(), size, FieldNames::hash(bytes.data(), size), kind);
  }
}

}  // namespace

bool prepare_runtime() noexcept {
  coev = coev_import();
  if (coev == nullptr || !make_strings() || !make_exceptions()) return false;
  reserve_usual_names();
  return true;
}

PyObject* latin1(std::string_view text) noexcept {
  if (text.empty()) return Py_NewRef(strings.empty);
  return PyUnicode_DecodeLatin1(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
}

}  // namespace coewsgi
