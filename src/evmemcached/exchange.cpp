#include "exchange.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "errors.h"

namespace evmemcached {
namespace {

// --- one exchange ------------------------------------------------------------------------

enum class Progress : std::uint8_t { kFinished, kWaits, kException };

// A connection that broke before it said anything, after it had been idle, was stale:
// the server had closed it long before. Then all that were idle beside it are.
bool is_stale(const Exchange& exchange) noexcept {
  return exchange.fault == Fault::kClosed && exchange.was_idle && !exchange.answered &&
         !exchange.repeated && exchange.conversation->is_repeatable();
}

Progress finish(Exchange& exchange, Fault fault, int error = 0) noexcept {
  exchange.fault = fault;
  exchange.error = error;
  exchange.finished = true;
  // Where a stale one was the next connection will be: nobody else gets the place.
  if (fault != Fault::kNone && !is_stale(exchange)) exchange.lease.drop();
  return Progress::kFinished;
}

Progress refuse(Exchange& exchange, Fault fault, std::string_view line) noexcept {
  constexpr std::size_t kQuotedBytes = 256;
  line = line.substr(0, kQuotedBytes);
  exchange.reason =
      Ref::steal(PyBytes_FromStringAndSize(line.data(), static_cast<Py_ssize_t>(line.size())));
  if (!exchange.reason) return Progress::kException;
  return finish(exchange, fault);
}

// The connection failed, or a Python exception says that TLS did.
Progress break_off(Exchange& exchange, Moved moved) noexcept {
  if (moved == Moved::kEnd) return finish(exchange, Fault::kClosed);
  if (moved == Moved::kFailed) {
    const int error = exchange.lease.connection()->error();
    const bool closed = error == EPIPE || error == ECONNRESET;
    return finish(exchange, closed ? Fault::kClosed : Fault::kSystem, error);
  }
  if (!PyErr_ExceptionMatches(errors::connection)) return Progress::kException;
  PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  exchange.reason = Ref::steal(value);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return finish(exchange, Fault::kNoServer);
}

std::string_view first_line(std::string_view bytes) noexcept {
  return bytes.substr(0, bytes.find('\r'));
}

// Replies that somebody before this exchange did not wait for.
Took skip_owed(std::string_view bytes, std::size_t* used) noexcept {
  Reply reply;
  const Parsing parsing = parse_reply(bytes, &reply, used);
  if (parsing == Parsing::kNeedsMore) return Took::kNeeds;
  if (parsing == Parsing::kBad || reply.has_value) return Took::kUnknown;
  const bool out_of_step = reply.kind == Kind::kError || reply.kind == Kind::kClientError;
  return out_of_step ? Took::kUnknown : Took::kMore;
}

// Hands the conversation what has come. kWaits: it wants more.
Progress digest(Exchange& exchange) noexcept {
  Connection& connection = *exchange.lease.connection();
  while (!connection.input.empty()) {
    const std::string_view bytes = connection.input.view();
    std::size_t used = 0;
    Took took = Took::kNeeds;
    if (connection.owed > 0) {
      took = skip_owed(bytes, &used);
      if (took == Took::kMore) --connection.owed;
    } else {
      took = exchange.conversation->take(bytes, &used);
    }
    switch (took) {
      case Took::kNeeds:
        return Progress::kWaits;
      case Took::kMore:
        connection.input.consume(used);
        break;
      case Took::kDone:
        connection.input.consume(used);
        // More than was asked for: what follows would be taken for another's reply.
        if (!connection.input.empty() || !connection.all_sent()) {
          return refuse(exchange, Fault::kUnknownReply, first_line(connection.input.view()));
        }
        return finish(exchange, Fault::kNone);
      case Took::kUnknown:
        return refuse(exchange, Fault::kUnknownReply, first_line(bytes));
      case Took::kRefused:
        return refuse(exchange, Fault::kRefused, first_line(bytes));
      case Took::kNoMemory:
        return finish(exchange, Fault::kNoMemory);
    }
  }
  return Progress::kWaits;
}

// The server may have said why before it closed.
Progress break_off_sending(Exchange& exchange, Moved moved) noexcept {
  const int error = exchange.lease.connection()->error();
  if (moved == Moved::kFailed && exchange.lease.connection()->receive() == Moved::kSome &&
      digest(exchange) == Progress::kFinished) {
    return Progress::kFinished;
  }
  if (moved == Moved::kFailed && PyErr_Occurred() != nullptr) PyErr_Clear();
  const bool closed = error == EPIPE || error == ECONNRESET;
  return moved == Moved::kFailed ? finish(exchange, closed ? Fault::kClosed : Fault::kSystem, error)
                                 : break_off(exchange, moved);
}

// Sends what the kernel takes; reads what it has, if `readable` or if it takes no more,
// because the server may be waiting for us to read.
Progress advance(Exchange& exchange, bool readable) noexcept {
  Connection& connection = *exchange.lease.connection();
  if (!connection.all_sent()) {
    const Moved moved = connection.send();
    if (moved == Moved::kWouldBlock) {
      readable = true;
    } else if (moved != Moved::kAll) {
      return break_off_sending(exchange, moved);
    } else if (const std::uint32_t owes = exchange.conversation->owes(); owes > 0) {
      connection.owed += owes;
      return finish(exchange, Fault::kNone);
    }
  }
  while (readable) {
    const Moved moved = connection.receive();
    if (moved == Moved::kWouldBlock) break;
    if (moved != Moved::kSome) return break_off(exchange, moved);
    exchange.answered = true;
    if (const Progress progress = digest(exchange); progress != Progress::kWaits) return progress;
    // Only what filled the buffer may have left something behind.
    readable = connection.input.room() == 0;
  }
  return Progress::kWaits;
}

// Goes on with what leasing a connection has given.
bool begin_on(Exchange& exchange, Leased leased) noexcept {
  switch (leased) {
    case Leased::kYes:
      break;
    case Leased::kTimedOut:
      finish(exchange, Fault::kPoolFull);
      return true;
    case Leased::kNoServer:
      return break_off(exchange, Moved::kException) == Progress::kFinished;
    case Leased::kException:
      return false;
  }
  Connection& connection = *exchange.lease.connection();
  exchange.was_idle = connection.proven;
  if (exchange.pool->flush_when_back && !connection.proven) {
    exchange.pool->flush_when_back = false;
    connection.output.append("flush_all\r\n");
    ++connection.owed;
  }
  exchange.conversation->write(connection.output);
  if (connection.output.failed()) finish(exchange, Fault::kNoMemory);
  return true;
}

bool begin(Exchange& exchange, Deadline deadline, std::int64_t now) noexcept {
  const bool careful = !exchange.conversation->is_repeatable();
  return begin_on(exchange, exchange.pool->lease(&exchange.lease, deadline, now, careful));
}

// --- all of them -------------------------------------------------------------------------

int events_of(const Exchange& exchange) noexcept {
  const bool sends = !exchange.lease.connection()->all_sent();
  return COEV_READABLE | (sends ? COEV_WRITABLE : 0);
}

// An epoll descriptor over several connections, which is itself waited for.
class Crowd {
 public:
  Crowd() noexcept : fd_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Crowd() {
    if (fd_ < 0) return;
    coev->forget_fd(fd_);
    ::close(fd_);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  bool watch(Exchange* exchanges, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count && fd_ >= 0; ++i) {
      if (exchanges[i].finished) continue;
      epoll_event event{};
      event.events = EPOLLIN | ((events_of(exchanges[i]) & COEV_WRITABLE) != 0 ? EPOLLOUT : 0U);
      const int fd = exchanges[i].lease.connection()->fd();
      if (epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) < 0) return false;
    }
    return fd_ >= 0;
  }
  Waited wait(Deadline deadline) noexcept { return wait_fd(fd_, COEV_READABLE, deadline, nullptr); }

 private:
  int fd_;
};

Waited wait_for_some(Exchange* exchanges, std::size_t count, Deadline deadline) noexcept {
  Exchange* only = nullptr;
  std::size_t unfinished = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (exchanges[i].finished) continue;
    only = &exchanges[i];
    ++unfinished;
  }
  if (unfinished == 1)
    return wait_fd(only->lease.connection()->fd(), events_of(*only), deadline,
                   only->lease.connection());
  Crowd crowd;
  if (!crowd.watch(exchanges, count)) {
    PyErr_SetFromErrno(PyExc_OSError);
    return Waited::kException;
  }
  return crowd.wait(deadline);
}

bool repeat(Exchange& exchange) noexcept {
  exchange.finished = false;
  exchange.fault = Fault::kNone;
  exchange.repeated = true;
  return begin_on(exchange, exchange.pool->renew(&exchange.lease)) &&
         (exchange.finished || advance(exchange, false) != Progress::kException);
}

bool advance_all(Exchange* exchanges, std::size_t count, bool readable, bool* finished) noexcept {
  *finished = true;
  for (std::size_t i = 0; i < count; ++i) {
    Exchange& exchange = exchanges[i];
    if (!exchange.finished && advance(exchange, readable) == Progress::kException) return false;
    if (exchange.finished && is_stale(exchange) && !repeat(exchange)) return false;
    *finished = *finished && exchange.finished;
  }
  return true;
}

bool run(Exchange* exchanges, std::size_t count, Deadline deadline) noexcept {
  bool finished = false;
  if (!advance_all(exchanges, count, false, &finished)) return false;
  while (!finished) {
    const Waited waited = wait_for_some(exchanges, count, deadline);
    if (waited == Waited::kException) return false;
    if (!advance_all(exchanges, count, true, &finished)) return false;
    // What has come by now counts: this process may have been what was late.
    if (finished || (waited == Waited::kReady && !deadline.passed(now_ns()))) continue;
    for (std::size_t i = 0; i < count; ++i) {
      if (!exchanges[i].finished) finish(exchanges[i], Fault::kTimedOut);
    }
    return true;
  }
  return true;
}

}  // namespace

Took Conversation::take(std::string_view bytes, std::size_t* used) noexcept {
  Reply reply;
  const Parsing parsing = parse_reply(bytes, &reply, used);
  if (parsing == Parsing::kNeedsMore) return Took::kNeeds;
  return parsing == Parsing::kBad ? Took::kUnknown : take_reply(reply);
}

bool converse(Exchange* exchanges, std::size_t count, double seconds) noexcept {
  std::int64_t now = now_ns();
  const std::int64_t start = now;
  bool well = true;
  for (std::size_t i = 0; i < count && well; ++i) {
    well = begin(exchanges[i], Deadline::after(seconds, start), now);
  }
  // Time spent on connecting has a limit of its own.
  if (count > 1 || !exchanges[0].was_idle) now = now_ns();
  if (!well || !run(exchanges, count, Deadline::after(seconds, now))) {
    for (std::size_t i = 0; i < count; ++i) exchanges[i].lease.drop();
    return false;
  }
  now = now_ns();
  for (std::size_t i = 0; i < count; ++i) {
    if (exchanges[i].fault != Fault::kNone) continue;
    exchanges[i].lease.connection()->proven = true;
    exchanges[i].lease.give_back(now);
  }
  return true;
}

PyObject* fault_exception(const Exchange& exchange, PyObject* server_name) noexcept {
  const auto make = [](PyObject* type, const char* format, auto... arguments) {
    const Ref text = Ref::steal(PyUnicode_FromFormat(format, arguments...));
    return text ? PyObject_CallOneArg(type, text.get()) : nullptr;
  };
  switch (exchange.fault) {
    case Fault::kNone:
    case Fault::kNoMemory:
      return PyErr_NoMemory();
    case Fault::kNoServer:
      return Py_NewRef(exchange.reason.get());
    case Fault::kPoolFull:
      return make(errors::pool, "%U: no connection became free in time", server_name);
    case Fault::kTimedOut:
      return make(errors::timeout, "%U: timed out", server_name);
    case Fault::kClosed:
      return make(errors::closed, "%U: the server closed the connection", server_name);
    case Fault::kSystem: {
      const Ref text =
          Ref::steal(PyUnicode_FromFormat("%U: %s", server_name, std::strerror(exchange.error)));
      return text ? PyObject_CallFunction(errors::connection, "iO", exchange.error, text.get())
                  : nullptr;
    }
    case Fault::kUnknownReply:
      return make(errors::unknown, "%U: unexpected reply %R", server_name, exchange.reason.get());
    case Fault::kRefused:
      break;
  }
  const std::string_view line = PyBytes_AS_STRING(exchange.reason.get());
  if (line.starts_with("ERROR")) return PyObject_CallOneArg(errors::command, exchange.reason.get());
  PyObject* type = line.starts_with("CLIENT_ERROR") ? errors::client : errors::server;
  const std::string_view text = line.substr(line.find(' ') + 1);
  return PyObject_CallFunction(type, "y#", text.data(), static_cast<Py_ssize_t>(text.size()));
}

}  // namespace evmemcached
