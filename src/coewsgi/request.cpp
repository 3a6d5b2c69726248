#include "request.h"

#include "application.h"
#include "environ.h"
#include "error_response.h"
#include "input_type.h"
#include "runtime.h"
#include "server.h"
#include "start_response_type.h"
#include "transport.h"
#include "upgrade_type.h"

namespace coewsgi {
namespace {

// What one request needs from its head to its end.
class Request {
 public:
  explicit Request(Connection& connection) noexcept
      : connection_(connection), server_(connection.server), began_(now_ns()) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request() {
    server_.leave_request(connection_);
    end_upgrade(upgrade_.get());
    if (input_ != nullptr) {
      input_->connection = nullptr;
      input_->pending = {};
    }
    if (response_ != nullptr) response_->connection = nullptr;
  }

  // false: an exception is set.
  bool prepare(RequestHead* head, std::size_t size) noexcept;
  Next run() noexcept;

 private:
  bool run_hooks() noexcept;
  bool receive_whole_body() noexcept;
  Next succeed() noexcept;
  Next fail() noexcept;
  int judge_exception() noexcept;

  Connection& connection_;
  Server& server_;
  const Nanoseconds began_;
  Ref environ_;
  Ref upgrade_;
  Ref spilled_;
  Input* input_ = nullptr;        // the connection's
  Response* response_ = nullptr;  // the connection's
  bool is_too_large_ = false;
  bool wants_upgrade_ = false;
};

bool Request::prepare(RequestHead* head, std::size_t size) noexcept {
  input_ = take_input(connection_, *head);
  StartResponse* start = input_ == nullptr ? nullptr : take_start_response(connection_, *head);
  if (start == nullptr) return false;
  response_ = &start->response;
  Buffer* buffer = connection_.in;
  environ_ = Ref::steal(
      make_environ(connection_, buffer->begin(), size, *head, reinterpret_cast<PyObject*>(input_)));
  buffer->at += size;
  if (!environ_) return false;
  if (head->chunked) {
    input_->trailers = PyList_New(0);
    if (input_->trailers == nullptr ||
        PyDict_SetItem(environ_.get(), strings.wsgi_trailers, input_->trailers) < 0)
      return false;
  }
  const Settings& settings = server_.settings();
  is_too_large_ = settings.body_bytes != 0 && head->content_length > settings.body_bytes;
  wants_upgrade_ = head->wants_websocket && settings.upgrade;
  return true;
}

// false: an exception is set.
bool Request::run_hooks() noexcept {
  const Settings& settings = server_.settings();
  if (connection_.trusted && settings.forwarded) {
    if (!Ref::steal(PyObject_CallOneArg(settings.forwarded.get(), environ_.get()))) return false;
  }
  if (wants_upgrade_) {
    upgrade_ = Ref::steal(make_upgrade(connection_));
    if (!upgrade_) return false;
    if (!Ref::steal(PyObject_CallFunctionObjArgs(settings.upgrade.get(), environ_.get(),
                                                 upgrade_.get(), nullptr)))
      return false;
  }
  return settings.spill_bytes == 0 || input_->ended || receive_whole_body();
}

// false: an exception is set.
bool Request::receive_whole_body() noexcept {
  spilled_ = Ref::steal(spill_input(*input_, server_.settings().spill_bytes));
  return spilled_ && PyDict_SetItem(environ_.get(), strings.wsgi_input, spilled_.get()) == 0;
}

Next Request::run() noexcept {
  server_.enter_request(connection_, began_);
  if (is_too_large_) {
    input_->failure = 413;
    PyErr_SetNone(exceptions.client_disconnected);
    return fail();
  }
  const bool needs_hooks =
      connection_.trusted || wants_upgrade_ || server_.settings().spill_bytes != 0;
  if (needs_hooks && !run_hooks()) return fail();
  const Sent sent = run_application(*response_, environ_.get());
  server_.leave_request(connection_);
  expel_users(connection_);
  if (sent == Sent::kRaised || PyErr_Occurred() != nullptr) {
    if (!is_plain_exception()) return Next::kRaised;
    return fail();
  }
  if (spilled_ && !Ref::steal(PyObject_CallMethodNoArgs(spilled_.get(), strings.close))) {
    PyErr_Clear();
  }
  return succeed();
}

Next Request::succeed() noexcept {
  server_.latency().add(now_ns() - began_);
  if (connection_.taken_over) {
    if (server_.settings().access_log) {
      const Ref status = Ref::steal(PyUnicode_FromString("101 Switching Protocols"));
      log_access(connection_, environ_.get(), status.get(), 101, nullptr, 0, began_);
    }
    return PyErr_Occurred() != nullptr ? Next::kRaised : Next::kEnd;
  }
  if (response_->head_sent) server_.counters().count_response(response_->status);
  const std::int64_t body_bytes = response_->has_no_body ? 0 : response_->written;
  log_access(connection_, environ_.get(), response_->status_object.get(), response_->status,
             response_->fields.get(), body_bytes, began_);
  if (PyErr_Occurred() != nullptr) return Next::kRaised;
  if (connection_.lost) return Next::kEnd;
  const bool keep = response_->keep_alive;
  const bool is_at_next = keep ? drain_input(*input_) : input_->ended && input_->pending.empty();
  if (PyErr_Occurred() != nullptr) return Next::kRaised;
  if (keep && is_at_next) return Next::kRequest;
  // With something unread a close would reset the connection, and the answer with it.
  const bool has_unread = !is_at_next || !connection_.drained || connection_.tls ||
                          (connection_.in != nullptr && connection_.in->left() > 0);
  if (has_unread) linger(connection_);
  return PyErr_Occurred() != nullptr ? Next::kRaised : Next::kEnd;
}

// The status for the exception that is set, which is reported where it is the application's
// fault, and cleared.
int Request::judge_exception() noexcept {
  Counters& counters = server_.counters();
  if (PyErr_ExceptionMatches(exceptions.client_disconnected) != 0) {
    PyErr_Clear();
    return input_->failure != 0 ? input_->failure : 400;
  }
  if (PyErr_ExceptionMatches(exceptions.bad_request) != 0) {
    PyErr_Clear();
    ++counters.bad_requests;
    return 400;
  }
  const bool is_timeout = PyErr_ExceptionMatches(exceptions.request_timeout) != 0;
  if (!is_timeout) ++counters.exceptions;
  report_exception(connection_, environ_.get());
  return is_timeout ? 503 : 500;
}

Next Request::fail() noexcept {
  server_.leave_request(connection_);
  expel_users(connection_);
  if (!is_plain_exception()) return Next::kRaised;
  const int status = judge_exception();
  if (PyErr_Occurred() != nullptr) return Next::kRaised;
  server_.latency().add(now_ns() - began_);
  const bool can_answer = !response_->head_sent && !connection_.taken_over && !connection_.lost;
  if (can_answer) {
    if (send_error(connection_, status, response_->to_head) == Sent::kRaised) return Next::kRaised;
    log_access(connection_, environ_.get(), nullptr, status, nullptr, 0, began_);
    linger(connection_);
  } else {
    log_access(connection_, environ_.get(), response_->status_object.get(), status,
               response_->fields.get(), response_->written, began_);
  }
  return PyErr_Occurred() != nullptr ? Next::kRaised : Next::kEnd;
}

}  // namespace

Next serve_request(Connection& connection, RequestHead* head, std::size_t size) noexcept {
  Request request(connection);
  const bool prepared = request.prepare(head, size);
  connection.server.give_head(head);
  if (prepared) return request.run();
  PyErr_WriteUnraisable(nullptr);
  return Next::kEnd;
}

Next refuse_request(Connection& connection, int status) noexcept {
  Server& server = connection.server;
  const Nanoseconds began = now_ns();
  ++(status == 408 ? server.counters().timeouts : server.counters().bad_requests);
  Ref environ;
  if (server.settings().access_log) {
    const Buffer* in = connection.in;
    environ = Ref::steal(make_refused_environ(
        connection,
        in == nullptr ? std::string_view() : std::string_view(in->begin(), in->left())));
    if (!environ) PyErr_Clear();
  }
  if (send_error(connection, status, false) == Sent::kRaised) return Next::kRaised;
  log_access(connection, environ.get(), nullptr, status, nullptr, 0, began);
  linger(connection);
  return PyErr_Occurred() != nullptr ? Next::kRaised : Next::kEnd;
}

}  // namespace coewsgi
