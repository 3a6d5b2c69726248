#include "connection_loop.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "proxy_protocol.h"
#include "request.h"
#include "runtime.h"
#include "server.h"
#include "socket_object.h"
#include "transport.h"

namespace coewsgi {
namespace {

// Reads one head. The parser runs where it may find something new: when the data
// has doubled, or a line has ended; so the whole work is linear in the head's size, and the first
// wrong line is refused at once.
class HeadReader {
 public:
  HeadReader(Connection& connection, bool first) noexcept
      : connection_(connection), server_(connection.server), first_(first) {}

  // kRequest: `head` and `size` are set. Otherwise the connection has been told what to
  // say.
  Next read() noexcept;

  RequestHead* head = nullptr;  // taken from the server
  std::size_t size = 0;

 private:
  enum class Parsed : std::uint8_t { kWhole, kRefused, kIncomplete };

  Parsed parse() noexcept;
  bool make_room() noexcept;
  ssize_t receive_more() noexcept;
  ssize_t receive_first() noexcept;
  Next end(ssize_t reason) noexcept;

  Connection& connection_;
  Server& server_;
  const bool first_;
  int status_ = 0;            // to refuse with
  std::size_t looked_ = 0;    // bytes that were there the last time
  std::size_t parsed_ = 0;    // bytes that the parser has seen
  Nanoseconds deadline_ = 0;  // of the head; 0: not begun
};

HeadReader::Parsed HeadReader::parse() noexcept {
  const Buffer& in = *connection_.in;
  const std::size_t there = in.left();
  const std::string_view fresh(in.begin() + looked_, there - looked_);
  const bool is_worth = looked_ == 0 || there >= 2 * parsed_ ||
                        there > server_.settings().head.head_bytes ||
                        fresh.find('\n') != std::string_view::npos;
  looked_ = there;
  if (!is_worth) return Parsed::kIncomplete;
  parsed_ = there;
  RequestHead* candidate = server_.take_head();
  if (candidate == nullptr) {
    status_ = 503;
    return Parsed::kRefused;
  }
  const int result =
      parse_head(in.begin(), there, server_.settings().head, field_names, *candidate);
  if (result > 0) {
    head = candidate;
    size = static_cast<std::size_t>(result);
    return Parsed::kWhole;
  }
  server_.give_head(candidate);
  status_ = -result;
  return result == kIncomplete ? Parsed::kIncomplete : Parsed::kRefused;
}

// Room behind what is there. false: refuse with status_.
bool HeadReader::make_room() noexcept {
  constexpr std::size_t kLeast = 1024;
  Buffer*& in = connection_.in;
  if (in != nullptr && in->left() == 0) in->clear();
  if (in != nullptr && in->capacity - in->size >= kLeast) return true;
  Buffer* larger = nullptr;
  if (in == nullptr) {
    larger = server_.buffers().take();
  } else {
    const bool fits = in->left() + kLeast <= in->capacity;
    larger = server_.buffers().grow(in, fits ? in->capacity : in->capacity * 2);
  }
  if (larger != nullptr) in = larger;
  if (larger != nullptr && !server_.is_over_buffered()) return true;
  status_ = 503;
  return false;
}

// Waits for the first byte without a buffer.
ssize_t HeadReader::receive_first() noexcept {
  const Settings& settings = server_.settings();
  const Nanoseconds now = now_ns();
  Nanoseconds until = deadline_after(now, first_ ? settings.head_time : settings.keep_alive);
  if (server_.draining())
    until = first_ ? std::min(until, now + kSecond) : now;  // as watch_drain()
  server_.buffers().give(std::exchange(connection_.in, nullptr));
  if (server_.is_crowded()) connection_.release_kept();
  if (first_) deadline_ = until;
  if (connection_.tls ? !has_pending(connection_) : connection_.drained) {
    connection_.idle = first_ ? Idle::kFirst : Idle::kBetween;
    const Readiness readiness = wait_for(connection_, COEV_READABLE | COEV_PERMIT, until);
    connection_.idle = Idle::kNo;
    if (readiness == Readiness::kTimedOut) return kReadTimedOut;
    if (readiness != Readiness::kReady)
      return readiness == Readiness::kRaised ? kReadRaised : kReadLost;
    connection_.drained = false;
    // Woken to end: a request that is there already is still answered.
    if (server_.draining()) until = now_ns();
  }
  if (!make_room()) return kReadLost;
  return receive(connection_, connection_.in->data(), connection_.in->capacity, until);
}

ssize_t HeadReader::receive_more() noexcept {
  Buffer& in = *connection_.in;
  if (deadline_ == 0) deadline_ = deadline_after(now_ns(), server_.settings().head_time);
  return receive(connection_, in.data() + in.size, in.capacity - in.size, deadline_);
}

Next HeadReader::end(ssize_t reason) noexcept {
  if (reason == kReadRaised) return Next::kRaised;
  if (reason == kReadLost) ++server_.counters().read_errors;
  if (reason != kReadTimedOut) return Next::kEnd;
  if (looked_ > 0) return refuse_request(connection_, 408);
  if (!server_.draining()) ++server_.counters().timeouts;
  if (connection_.tls) linger(connection_);
  return PyErr_Occurred() != nullptr ? Next::kRaised : Next::kEnd;
}

Next HeadReader::read() noexcept {
  for (;;) {
    Buffer* in = connection_.in;
    const bool has_bytes = in != nullptr && in->left() > 0;
    if (has_bytes) {
      const Parsed parsed = parse();
      if (parsed == Parsed::kWhole) return Next::kRequest;
      if (parsed == Parsed::kRefused || !make_room()) return refuse_request(connection_, status_);
    }
    const ssize_t got = has_bytes ? receive_more() : receive_first();
    if (got <= 0) return status_ != 0 ? refuse_request(connection_, status_) : end(got);
    connection_.in->size += static_cast<std::size_t>(got);
  }
}

// --- before the first request ----------------------------------------------------------------

// false: the connection is not to be served, or an exception is set.
bool ask_trust(Connection& connection) noexcept {
  PyObject* hook = connection.server.settings().trusted_peer.get();
  if (hook == nullptr) return true;
  const Ref address = Ref::steal(latin1(connection.address));
  const Ref answer = address ? Ref::steal(PyObject_CallOneArg(hook, address.get())) : Ref();
  const int trusted = answer ? PyObject_IsTrue(answer.get()) : -1;
  if (trusted < 0) return false;
  connection.trusted = trusted > 0;
  return true;
}

// Reads the PROXY header and not a byte more: what follows may be TLS.
bool read_proxy_header(Connection& connection, Nanoseconds deadline) noexcept {
  std::array<char, kLongestProxyHeader> header;
  std::size_t size = 0;
  ProxyHeader parsed;
  for (;;) {
    const Readiness readiness = wait_for(connection, COEV_READABLE, deadline);
    if (readiness == Readiness::kTimedOut) ++connection.server.counters().timeouts;
    if (readiness != Readiness::kReady) return false;
    const ssize_t got =
        recv(connection.fd, header.data() + size, header.size() - size, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) return false;
    const int result =
        parse_proxy_header({header.data(), size + static_cast<std::size_t>(got)}, &parsed);
    if (result < 0) {
      ++connection.server.counters().bad_requests;
      return false;
    }
    // Of a header that is not whole yet all that is there belongs to it.
    const std::size_t taken =
        result > 0 ? static_cast<std::size_t>(result) - size : static_cast<std::size_t>(got);
    if (recv(connection.fd, header.data() + size, taken, MSG_DONTWAIT) !=
        static_cast<ssize_t>(taken))
      return false;
    size += taken;
    if (result > 0) break;
  }
  if (!parsed.address.empty()) {
    connection.proxied_from = connection.address.empty() ? "unix" : connection.address;
    connection.address = std::move(parsed.address);
    connection.port = parsed.port;
  }
  return true;
}

bool start_tls(Connection& connection, Nanoseconds deadline) noexcept {
  const Listener& listener = connection.listener;
  const Ref plain = Ref::steal(make_socket_object(connection.fd));
  if (!plain) return false;
  connection.tls = Ref::borrow(plain.get());  // it owns the descriptor, whatever comes
  Ref wrapped = Ref::steal(PyObject_CallOneArg(listener.tls.get(), plain.get()));
  if (!wrapped) return false;
  connection.tls = std::move(wrapped);
  if (!shake_hands(connection, deadline)) return false;
  if (!listener.tls_environ) return true;
  connection.extra =
      Ref::steal(PyObject_CallOneArg(listener.tls_environ.get(), connection.tls.get()));
  if (connection.extra && connection.extra.get() == Py_None) connection.extra.reset();
  return PyErr_Occurred() == nullptr;
}

// false: the connection ends here, or an exception is set.
bool begin_connection(Connection& connection) noexcept {
  const Listener& listener = connection.listener;
  if (!ask_trust(connection)) return false;
  if (!listener.proxy_protocol && !listener.tls) return true;
  Server& server = connection.server;
  const Nanoseconds deadline = deadline_after(now_ns(), server.settings().handshake);
  if (listener.proxy_protocol) {
    if (server.settings().trusted_peer && !connection.trusted) {
      ++server.counters().refused_connections;
      return false;
    }
    if (!read_proxy_header(connection, deadline) || !ask_trust(connection)) return false;
  }
  return !listener.tls || start_tls(connection, deadline);
}

}  // namespace

int serve_connection(Connection& connection) noexcept {
  bool open = begin_connection(connection);
  Next next = open ? Next::kRequest : Next::kEnd;
  for (bool first = true; next == Next::kRequest; first = false) {
    HeadReader reader(connection, first);
    next = reader.read();
    if (next == Next::kRequest) next = serve_request(connection, reader.head, reader.size);
  }
  if (PyErr_Occurred() == nullptr) return 0;
  if (!is_plain_exception()) return -1;
  // Of a hook or a handshake: the connection's end, and nobody's traceback.
  if (PyErr_ExceptionMatches(PyExc_TimeoutError) != 0)
    ++connection.server.counters().timeouts;
  else
    ++connection.server.counters().read_errors;
  if (PyErr_ExceptionMatches(PyExc_OSError) == 0) PyErr_WriteUnraisable(nullptr);
  PyErr_Clear();
  return 0;
}

}  // namespace coewsgi
