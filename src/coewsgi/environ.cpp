#include "environ.h"

#include <array>
#include <string>

#include "file_wrapper_type.h"
#include "handle_type.h"
#include "runtime.h"
#include "server.h"

namespace coewsgi {
namespace {

bool put(PyObject* dict, PyObject* key, PyObject* stolen) noexcept {
  const Ref value = Ref::steal(stolen);
  return value && PyDict_SetItem(dict, key, value.get()) == 0;
}

bool put_default(PyObject* dict, const char* key, PyObject* stolen) noexcept {
  const Ref value = Ref::steal(stolen);
  const Ref name = Ref::steal(PyUnicode_InternFromString(key));
  return name && value && PyDict_SetDefault(dict, name.get(), value.get()) != nullptr;
}

PyObject* method_object(std::string_view method) noexcept {
  struct Known {
    std::string_view text;
    PyObject* object;
  };
  static std::array<Known, 7> known = {{{"GET", nullptr},
                                        {"POST", nullptr},
                                        {"HEAD", nullptr},
                                        {"PUT", nullptr},
                                        {"DELETE", nullptr},
                                        {"OPTIONS", nullptr},
                                        {"PATCH", nullptr}}};
  for (Known& candidate : known) {
    if (candidate.text != method) continue;
    if (candidate.object == nullptr)
      // The texts are literals: behind each stands a zero.
      candidate.object = PyUnicode_InternFromString(
          candidate.text.data());  // NOLINT(bugprone-suspicious-stringview-data-usage)
    return Py_XNewRef(candidate.object);
  }
  return latin1(method);
}

// %XX become bytes, and bytes latin-1 characters, as PEP 3333 has it. What is no %XX stays.
PyObject* decode_path(std::string_view path) noexcept {
  std::size_t at = path.find('%');
  if (at == std::string_view::npos) return latin1(path);
  std::string bytes(path.substr(0, at));
  bytes.reserve(path.size());
  for (; at < path.size(); ++at) {
    const int high = path[at] == '%' && at + 2 < path.size() ? hex_digit(path[at + 1]) : -1;
    const int low = high >= 0 ? hex_digit(path[at + 2]) : -1;
    if (low < 0) {
      bytes.push_back(path[at]);
    } else {
      bytes.push_back(static_cast<char>(high * 16 + low));
      at += 2;
    }
  }
  return latin1(bytes);
}

PyObject* make_key(std::string_view name, FieldKind kind) noexcept {
  if (kind == FieldKind::kContentType) return Py_NewRef(strings.content_type);
  if (kind == FieldKind::kContentLength) return Py_NewRef(strings.content_length);
  std::string text = "HTTP_";
  for (const char c : name) text.push_back(kCharacters.cgi[static_cast<unsigned char>(c)]);
  PyObject* key = PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  if (key != nullptr) PyUnicode_InternInPlace(&key);
  return key;
}

bool is_passed_on(const Connection& connection, FieldKind kind) noexcept {
  switch (kind) {
    case FieldKind::kDropped:
      return false;
    case FieldKind::kForwarded:
      return connection.trusted;
    case FieldKind::kUnderscore:
      return connection.server.settings().head.header_map == HeaderMap::kDangerous;
    default:
      return true;
  }
}

// A second field of a name joins the first: lists by commas (RFC 9110, 5.3), cookies by
// semicolons (RFC 6265).
PyObject* join_repeated(PyObject* dict, PyObject* key, FieldKind kind, PyObject* value) noexcept {
  PyObject* before = PyDict_GetItemWithError(dict, key);
  if (before == nullptr) return PyErr_Occurred() != nullptr ? nullptr : Py_NewRef(value);
  return PyUnicode_FromFormat(kind == FieldKind::kCookie ? "%U; %U" : "%U,%U", before, value);
}

bool add_field(PyObject* dict, const char* data, const RequestHead& head, const Field& field,
               std::uint64_t* seen) noexcept {
  Ref key;
  if (field.known != nullptr && field.known->key != nullptr) {
    key = Ref::borrow(static_cast<PyObject*>(field.known->key));
  } else {
    key = Ref::steal(make_key(head.name_of(data, field), field.kind));
    if (!key) return false;
    // Kept as long as the table, which is bounded and never freed.
    if (field.known != nullptr) field.known->key = Py_NewRef(key.get());
  }
  Ref value = Ref::steal(latin1(head.value_of(data, field)));
  if (!value) return false;
  const std::uint64_t bit = std::uint64_t{1}
                            << (static_cast<std::uint64_t>(PyObject_Hash(key.get())) & 63);
  if ((*seen & bit) != 0) {
    value = Ref::steal(join_repeated(dict, key.get(), field.kind, value.get()));
    if (!value) return false;
  }
  *seen |= bit;
  return PyDict_SetItem(dict, key.get(), value.get()) == 0;
}

bool add_connection(PyObject* dict, Connection& connection) noexcept {
  return make_peer_objects(connection) && make_handle(connection) &&
         PyDict_SetItem(dict, strings.remote_addr, connection.address_object.get()) == 0 &&
         PyDict_SetItem(dict, strings.remote_port, connection.port_object.get()) == 0 &&
         PyDict_SetItem(dict, strings.early_hints, connection.early_hints.get()) == 0 &&
         PyDict_SetItem(dict, strings.client_disconnected, connection.client_disconnected.get()) ==
             0 &&
         (!connection.extra || PyDict_Update(dict, connection.extra.get()) == 0);
}

// All that two requests with equal fields on a connection share.
PyObject* make_shared(Connection& connection, const char* data, const RequestHead& head) noexcept {
  Ref dict = Ref::steal(PyDict_Copy(connection.listener.environ.get()));
  if (!dict || !add_connection(dict.get(), connection)) return nullptr;
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < head.count; ++i) {
    const Field& field = head.fields[i];
    if (is_passed_on(connection, field.kind) && !add_field(dict.get(), data, head, field, &seen))
      return nullptr;
  }
  return dict.release();
}

PyObject* copy_or_make(Connection& connection, const char* data, std::size_t size,
                       const RequestHead& head) noexcept {
  FieldMemo& memo = connection.memo;
  const char* begin = head.count == 0 ? data + size : data + head.fields[0].name;
  const std::string_view fields(begin, static_cast<std::size_t>(data + size - begin));
  if (memo.environ && memo.fields == fields) {
    memo.misses = 0;
    return PyDict_Copy(memo.environ.get());
  }
  PyObject* dict = make_shared(connection, data, head);
  if (dict == nullptr || memo.misses >= FieldMemo::kMostMisses) return dict;
  if (memo.environ && ++memo.misses >= FieldMemo::kMostMisses) {
    memo.drop();
  } else if (fields.size() <= FieldMemo::kMostBytes) {
    memo.environ = Ref::steal(PyDict_Copy(dict));
    if (!memo.environ) PyErr_Clear();
    memo.fields.assign(fields);
  }
  return dict;
}

}  // namespace

PyObject* make_template(PyObject* server_environ, PyObject* listener_environ) noexcept {
  // The keys that every request sets have their place here, so that a copy has room for them.
  Ref dict = Ref::steal(PyDict_New());
  if (!dict) return nullptr;
  for (PyObject* key :
       {strings.request_method, strings.path_info, strings.query_string, strings.request_uri,
        strings.raw_uri, strings.server_protocol, strings.wsgi_input, strings.remote_addr,
        strings.remote_port, strings.early_hints, strings.client_disconnected}) {
    if (PyDict_SetItem(dict.get(), key, strings.empty) < 0) return nullptr;
  }
  if (PyDict_Update(dict.get(), server_environ) < 0) return nullptr;
  if (listener_environ != nullptr && listener_environ != Py_None &&
      PyDict_Update(dict.get(), listener_environ) < 0)
    return nullptr;
  PyObject* errors = PySys_GetObject("stderr");
  const bool whole =
      put_default(dict.get(), "SCRIPT_NAME", Py_NewRef(strings.empty)) &&
      put_default(dict.get(), "SERVER_NAME", PyUnicode_FromString("localhost")) &&
      put_default(dict.get(), "SERVER_PORT", PyUnicode_FromString("80")) &&
      put_default(dict.get(), "SERVER_SOFTWARE", PyUnicode_FromString("coewsgi")) &&
      put_default(dict.get(), "GATEWAY_INTERFACE", PyUnicode_FromString("CGI/1.1")) &&
      put_default(dict.get(), "wsgi.version", Py_BuildValue("(ii)", 1, 0)) &&
      put_default(dict.get(), "wsgi.url_scheme", PyUnicode_FromString("http")) &&
      put_default(dict.get(), "wsgi.errors", Py_NewRef(errors != nullptr ? errors : Py_None)) &&
      put_default(dict.get(), "wsgi.multithread", Py_NewRef(Py_True)) &&
      put_default(dict.get(), "wsgi.multiprocess", Py_NewRef(Py_False)) &&
      put_default(dict.get(), "wsgi.run_once", Py_NewRef(Py_False)) &&
      put_default(dict.get(), "wsgi.input_terminated", Py_NewRef(Py_True)) &&
      put_default(dict.get(), "wsgi.file_wrapper", Py_NewRef(file_wrapper_class()));
  return whole ? dict.release() : nullptr;
}

bool make_peer_objects(Connection& connection) noexcept {
  if (connection.address_object) return true;
  connection.address_object = Ref::steal(latin1(connection.address));
  connection.port_object = connection.address.empty()
                               ? Ref::borrow(strings.empty)
                               : Ref::steal(PyUnicode_FromFormat("%d", connection.port));
  if (connection.address_object && connection.port_object) return true;
  connection.address_object.reset();
  return false;
}

PyObject* make_environ(Connection& connection, const char* data, std::size_t size,
                       const RequestHead& head, PyObject* input) noexcept {
  Ref dict = Ref::steal(copy_or_make(connection, data, size, head));
  if (!dict) return nullptr;
  std::string_view target = head.target;
  if (!head.authority.empty()) {  // absolute form: it overrides Host (RFC 9112, 3.2.2)
    target.remove_prefix(static_cast<std::size_t>(head.authority.data() - target.data()) +
                         head.authority.size());
    if (!put(dict.get(), strings.http_host, latin1(head.authority))) return nullptr;
  } else if (head.method == "CONNECT") {
    target = {};
  }
  const std::size_t mark = target.find('?');
  std::string_view path = target.substr(0, mark);
  if (path.empty() && head.method != "CONNECT") path = "/";
  const std::string_view query =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  const Ref raw = Ref::steal(latin1(head.target));
  const bool whole = raw && put(dict.get(), strings.request_method, method_object(head.method)) &&
                     put(dict.get(), strings.path_info, decode_path(path)) &&
                     put(dict.get(), strings.query_string, latin1(query)) &&
                     PyDict_SetItem(dict.get(), strings.request_uri, raw.get()) == 0 &&
                     PyDict_SetItem(dict.get(), strings.raw_uri, raw.get()) == 0 &&
                     PyDict_SetItem(dict.get(), strings.server_protocol,
                                    head.minor == 1 ? strings.http11 : strings.http10) == 0 &&
                     PyDict_SetItem(dict.get(), strings.wsgi_input, input) == 0;
  return whole ? dict.release() : nullptr;
}

PyObject* make_refused_environ(Connection& connection, std::string_view head) noexcept {
  constexpr std::size_t kMostBytes = 4096;
  if (!make_peer_objects(connection)) return nullptr;
  head = head.substr(0, kMostBytes);
  return Py_BuildValue("{OOOOsy#}", strings.remote_addr, connection.address_object.get(),
                       strings.remote_port, connection.port_object.get(), "coewsgi.refused_head",
                       head.data(), static_cast<Py_ssize_t>(head.size()));
}

}  // namespace coewsgi
