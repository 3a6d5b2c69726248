#include "settings.h"

#include <array>
#include <cmath>
#include <string_view>

namespace coewsgi {
namespace {

bool fail(const char* format, const char* name) noexcept {
  PyErr_Format(PyExc_ValueError, format, name);
  return false;
}

bool to_span(double seconds, const char* name, Nanoseconds* span) noexcept {
  if (!(seconds >= 0)) return fail("%s is negative", name);
  *span = seconds > 1e9 ? 0 : static_cast<Nanoseconds>(std::ceil(seconds * 1e9));
  return true;
}

bool to_limit(long long value, const char* name, long long least, long long most,
              long long* limit) noexcept {
  if (value < least) return fail("%s is too small", name);
  if (value > most) return fail("%s is too large", name);
  *limit = value;
  return true;
}

bool to_hook(PyObject* object, const char* name, Ref* hook) noexcept {
  if (object == nullptr || object == Py_None) return true;
  if (PyCallable_Check(object) == 0) {
    PyErr_Format(PyExc_TypeError, "%s is not callable", name);
    return false;
  }
  *hook = Ref::borrow(object);
  return true;
}

bool to_header_map(const char* name, HeaderMap* map) noexcept {
  const std::string_view text = name;
  if (text == "drop")
    *map = HeaderMap::kDrop;
  else if (text == "refuse")
    *map = HeaderMap::kRefuse;
  else if (text == "dangerous")
    *map = HeaderMap::kDangerous;
  else
    return fail("header_map is drop, refuse or dangerous, not %.50s", name);
  return true;
}

bool to_server_field(const char* value, std::string* field) noexcept {
  if (value == nullptr) return true;
  for (const char* at = value; *at != 0; ++at) {
    if (*at < 0x20 || *at > 0x7e) return fail("%s is not printable ASCII", "server_header");
  }
  field->append("Server: ").append(value).append("\r\n");
  return true;
}

}  // namespace

// Every argument is named once here with its variable, once in the table that checks it.
// NOLINTNEXTLINE(readability-function-size): nearly all of it is these tables
bool Settings::parse(PyObject* args, PyObject* kwargs) noexcept {
  static const char* const kNames[] = {"app",
                                       "limit_request_line",
                                       "limit_request_field_size",
                                       "limit_request_fields",
                                       "limit_request_head",
                                       "limit_request_body",
                                       "spill_bytes",
                                       "body_min_rate",
                                       "max_connections",
                                       "max_connections_per_address",
                                       "max_buffered_bytes",
                                       "max_requests",
                                       "header_map",
                                       "handshake_timeout",
                                       "head_timeout",
                                       "body_timeout",
                                       "write_timeout",
                                       "keepalive_timeout",
                                       "request_timeout",
                                       "environ",
                                       "access_log",
                                       "on_error",
                                       "trusted_peer",
                                       "forwarded",
                                       "upgrade",
                                       "on_max_requests",
                                       "server_header",
                                       nullptr};
  std::array<long long, 11> limits = {8190, 8190, 100, 65536, 0, 0, 500, 10000, 0, 67108864, 0};
  std::array<double, 6> spans = {10, 10, 20, 20, 60, 0};
  std::array<PyObject*, 6> hooks{};
  PyObject* app = nullptr;
  PyObject* template_environ = nullptr;
  const char* map = "drop";
  const char* server = "coewsgi";
  if (PyArg_ParseTupleAndKeywords(
          args, kwargs, "O|$LLLLLLLLLLLsddddddOOOOOOOz:Server", const_cast<char**>(kNames), &app,
          &limits[0], &limits[1], &limits[2], &limits[3], &limits[4], &limits[5], &limits[6],
          &limits[7], &limits[8], &limits[9], &limits[10], &map, &spans[0], &spans[1], &spans[2],
          &spans[3], &spans[4], &spans[5], &template_environ, &hooks[0], &hooks[1], &hooks[2],
          &hooks[3], &hooks[4], &hooks[5], &server) == 0) {
    return false;
  }
  constexpr long long kMost = 1LL << 60;
  constexpr std::array<std::array<long long, 2>, 11> kRanges = {{{64, 1 << 20},
                                                                 {64, 1 << 20},
                                                                 {1, 1000},
                                                                 {64, 1 << 24},
                                                                 {0, kMost},
                                                                 {0, kMost},
                                                                 {1, kMost},
                                                                 {1, kMost},
                                                                 {0, kMost},
                                                                 {65536, kMost},
                                                                 {0, kMost}}};
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (!to_limit(limits[i], kNames[i + 1], kRanges[i][0], kRanges[i][1], &limits[i])) return false;
  }
  const std::array<Nanoseconds*, 6> times = {&handshake, &head_time,  &body_grace,
                                             &write,     &keep_alive, &request};
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (!to_span(spans[i], kNames[i + 13], times[i])) return false;
  }
  const std::array<Ref*, 6> callables = {&access_log, &on_error, &trusted_peer,
                                         &forwarded,  &upgrade,  &on_max_requests};
  for (std::size_t i = 0; i < callables.size(); ++i) {
    if (!to_hook(hooks[i], kNames[i + 20], callables[i])) return false;
  }
  head.line_bytes = static_cast<std::uint32_t>(limits[0]);
  head.field_bytes = static_cast<std::uint32_t>(limits[1]);
  head.fields = static_cast<std::uint32_t>(limits[2]);
  head.head_bytes = static_cast<std::uint32_t>(limits[3]);
  body_bytes = limits[4];
  spill_bytes = limits[5];
  body_rate = limits[6];
  connections = static_cast<std::size_t>(limits[7]);
  per_address = static_cast<std::size_t>(limits[8]);
  buffered_bytes = static_cast<std::size_t>(limits[9]);
  requests = static_cast<std::uint64_t>(limits[10]);
  environ = Ref::steal(PyDict_New());
  if (!environ) return false;
  if (template_environ != nullptr && template_environ != Py_None &&
      PyDict_Update(environ.get(), template_environ) < 0) {
    return false;
  }
  return to_hook(app, "app", &application) && to_header_map(map, &head.header_map) &&
         to_server_field(server, &server_field);
}

int Settings::traverse(visitproc visit, void* arg) noexcept {
  for (Ref* ref : {&application, &environ, &access_log, &on_error, &trusted_peer, &forwarded,
                   &upgrade, &on_max_requests}) {
    Py_VISIT(ref->get());
  }
  return 0;
}

void Settings::clear() noexcept {
  for (Ref* ref : {&application, &environ, &access_log, &on_error, &trusted_peer, &forwarded,
                   &upgrade, &on_max_requests}) {
    ref->reset();
  }
}

}  // namespace coewsgi
