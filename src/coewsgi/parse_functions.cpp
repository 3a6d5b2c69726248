#include "parse_functions.h"

#include <algorithm>
#include <string>

#include "chunks.h"
#include "proxy_protocol.h"
#include "request_head.h"
#include "runtime.h"

namespace coewsgi {
namespace {

constexpr int kWhole = 0;
constexpr int kHeadIncomplete = 1;
constexpr int kBodyIncomplete = 2;
constexpr int kBadRequest = 400;

bool append_pair(PyObject* list, std::string_view name, std::string_view value) noexcept {
  const Ref pair = Ref::steal(Py_BuildValue("(NN)", latin1(name), latin1(value)));
  return pair && PyList_Append(list, pair.get()) == 0;
}

Ref list_fields(const RequestHead& head, const char* data, HeaderMap map) noexcept {
  Ref list = Ref::steal(PyList_New(0));
  for (std::uint32_t i = 0; list && i < head.count; ++i) {
    const Field& field = head.fields[i];
    const bool is_dropped = field.kind == FieldKind::kDropped ||
                            (field.kind == FieldKind::kUnderscore && map != HeaderMap::kDangerous);
    if (is_dropped) continue;
    if (!append_pair(list.get(), head.name_of(data, field), head.value_of(data, field)))
      list.reset();
  }
  return list;
}

Ref list_trailers(std::string_view left) noexcept {
  Ref list = Ref::steal(PyList_New(0));
  while (list && !left.empty()) {
    const std::size_t end = left.find('\r');
    std::string_view name;
    std::string_view value;
    if (parse_trailer(left.substr(0, end), &name, &value) && !append_pair(list.get(), name, value))
      list.reset();
    left.remove_prefix(end + 2);
  }
  return list;
}

// Reads the body behind a head. A status as parse_requests() has it.
int read_body(const RequestHead& head, const char** at, const char* end, std::string* body,
              ChunkDecoder* chunks) noexcept {
  if (!head.chunked) {
    const auto length = static_cast<std::size_t>(std::max<std::int64_t>(head.content_length, 0));
    const std::size_t size = std::min(length, static_cast<std::size_t>(end - *at));
    body->assign(*at, size);
    *at += size;
    return size < length ? kBodyIncomplete : kWhole;
  }
  for (;;) {
    std::string_view data;
    switch (chunks->next(at, end, SIZE_MAX, &data)) {
      case ChunkDecoder::Event::kData:
        body->append(data);
        break;
      case ChunkDecoder::Event::kEnd:
        return kWhole;
      case ChunkDecoder::Event::kMore:
        return kBodyIncomplete;
      default:
        return kBadRequest;
    }
  }
}

// One request to `list`. A status; -1: an exception is set.
int read_request(const char** at, const char* end, const HeadLimits& limits, RequestHead& head,
                 PyObject* list) noexcept {
  const int size = parse_head(*at, static_cast<std::size_t>(end - *at), limits, field_names, head);
  if (size < 0) return -size;
  if (size == kIncomplete) {
    return std::string_view(*at, static_cast<std::size_t>(end - *at)) == "\r\n" ? kWhole
                                                                                : kHeadIncomplete;
  }
  const char* begin = *at;
  *at += size;
  Ref fields = list_fields(head, begin, limits.header_map);
  std::string body;
  ChunkDecoder chunks;
  const int status = read_body(head, at, end, &body, &chunks);
  Ref trailers = list_trailers(chunks.trailers());
  if (!fields || !trailers) return -1;
  const Ref item =
      Ref::steal(Py_BuildValue("(NNiNy#NO)", latin1(head.method), latin1(head.target), head.minor,
                               fields.release(), body.data(), static_cast<Py_ssize_t>(body.size()),
                               trailers.release(), head.keep_alive ? Py_True : Py_False));
  if (!item || PyList_Append(list, item.get()) < 0) return -1;
  return status;
}

}  // namespace

PyObject* parse_requests(PyObject*, PyObject* args, PyObject* kwargs) noexcept {
  static const char* const kNames[] = {"",
                                       "limit_request_line",
                                       "limit_request_field_size",
                                       "limit_request_fields",
                                       "limit_request_head",
                                       "header_map",
                                       "require_host",
                                       nullptr};
  const char* data = nullptr;
  Py_ssize_t size = 0;
  HeadLimits limits;
  const char* map = "drop";
  int require_host = 1;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "y#|$IIIIsp:parse_requests",
                                  const_cast<char**>(kNames), &data, &size, &limits.line_bytes,
                                  &limits.field_bytes, &limits.fields, &limits.head_bytes, &map,
                                  &require_host) == 0)
    return nullptr;
  if (limits.fields == 0 || limits.fields > 1000) {
    PyErr_SetString(PyExc_ValueError, "limit_request_fields is between 1 and 1000");
    return nullptr;
  }
  limits.require_host = require_host != 0;
  const std::string_view map_name = map;
  if (map_name == "refuse") limits.header_map = HeaderMap::kRefuse;
  if (map_name == "dangerous") limits.header_map = HeaderMap::kDangerous;
  std::string padded(data, static_cast<std::size_t>(size));
  padded.append(kPadding, '\0');
  const char* at = padded.data();
  const char* end = at + size;
  RequestHead head(limits.fields);
  Ref list = Ref::steal(PyList_New(0));
  int status = kWhole;
  bool ended = false;
  while (list && at < end && status == kWhole && !ended) {
    const char* before = at;
    status = read_request(&at, end, limits, head, list.get());
    ended = at == before || !head.keep_alive || head.wants_upgrade || head.method == "CONNECT";
  }
  if (!list || status < 0) return nullptr;
  return Py_BuildValue("(Ni)", list.release(), status);
}

PyObject* parse_proxy(PyObject*, PyObject* data) noexcept {
  if (PyBytes_Check(data) == 0) {
    PyErr_SetString(PyExc_TypeError, "a PROXY header is bytes");
    return nullptr;
  }
  ProxyHeader header;
  const std::string_view bytes(PyBytes_AS_STRING(data),
                               static_cast<std::size_t>(PyBytes_GET_SIZE(data)));
  const int size = parse_proxy_header(bytes, &header);
  if (size < 0) {
    PyErr_SetString(PyExc_ValueError, "no PROXY header");
    return nullptr;
  }
  if (header.address.empty()) return Py_BuildValue("(iOi)", size, Py_None, 0);
  return Py_BuildValue("(isi)", size, header.address.c_str(), header.port);
}

}  // namespace coewsgi
