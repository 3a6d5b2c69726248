#include "server.h"

#include <unistd.h>

#include <algorithm>
#include <new>

#include "connection_loop.h"
#include "runtime.h"

namespace coewsgi {
namespace {

// How long a new connection may take to send its first request once the server drains.
constexpr Nanoseconds kFirstRequestGrace = kSecond;

int run_connection(void* argument) noexcept {
  return serve_connection(*static_cast<Connection*>(argument));
}

void release_connection(void* argument) noexcept {
  auto* connection = static_cast<Connection*>(argument);
  connection->server.remove(connection);
}

// An exception raised in another coroutine; one that has ended does not mind.
void throw_into(Connection& connection, PyObject* exception_class) noexcept {
  if (!connection.coroutine) return;
  const Ref exception = Ref::steal(PyObject_CallNoArgs(exception_class));
  const Ref target = Ref::borrow(connection.coroutine.get());
  if (!exception || coev->throw_into(target.get(), exception.get()) < 0) PyErr_Clear();
}

}  // namespace

Server::~Server() {
  if (finished_ != nullptr) coev->lock_free(finished_);
}

bool Server::prepare(PyObject* args, PyObject* kwargs) noexcept {
  if (!settings_.parse(args, kwargs)) return false;
  if (finished_ == nullptr) finished_ = coev->lock_new();
  return finished_ != nullptr;
}

std::size_t Server::idle_count() const noexcept {
  std::size_t count = 0;
  for (const Connection* at = connections_; at != nullptr; at = at->next)
    count += at->idle != Idle::kNo ? 1 : 0;
  return count;
}

// --- listeners -----------------------------------------------------------------------------

bool Server::start(std::unique_ptr<Listener> listener) noexcept {
  Listener* started = listener.get();
  listeners_.push_back(std::move(listener));
  if (start_accepting(*started)) return true;
  listeners_.pop_back();
  return false;
}

int Server::traverse(visitproc visit, void* arg) noexcept {
  for (const auto& listener : listeners_) {
    Py_VISIT(listener->socket.get());
    Py_VISIT(listener->environ.get());
    Py_VISIT(listener->tls.get());
    Py_VISIT(listener->tls_environ.get());
  }
  return settings_.traverse(visit, arg);
}

void Server::clear() noexcept {
  settings_.clear();
  listeners_.clear();
}

// --- connections ---------------------------------------------------------------------------

void Server::adopt(Listener& listener, int fd, std::string address, int port) noexcept {
  ++counters_.accepts;
  auto* connection = new (std::nothrow) Connection(*this, listener, fd);
  if (connection == nullptr) {
    close(fd);
    return;
  }
  connection->address = std::move(address);
  connection->port = port;
  const bool has_cap = settings_.per_address != 0 && !connection->address.empty();
  if (has_cap && per_address_[connection->address] >= settings_.per_address) {
    ++counters_.refused_connections;
    delete connection;
    return;
  }
  if (has_cap) ++per_address_[connection->address];
  connection->counted = has_cap;
  connection->next = connections_;
  if (connections_ != nullptr) connections_->previous = connection;
  connections_ = connection;
  ++connection_count_;
  begin();
  // On failure it has released the connection already.
  PyObject* coroutine = coev->spawn_native(run_connection, connection, release_connection);
  if (coroutine == nullptr) {
    PyErr_Clear();
    ++counters_.refused_connections;
    return;
  }
  connection->coroutine = Ref::steal(coroutine);
}

void Server::remove(Connection* connection) noexcept {
  leave_request(*connection);
  if (connection->counted) {
    const auto entry = per_address_.find(connection->peer_address());
    if (entry != per_address_.end() && --entry->second == 0) per_address_.erase(entry);
  }
  (connection->previous != nullptr ? connection->previous->next : connections_) = connection->next;
  if (connection->next != nullptr) connection->next->previous = connection->previous;
  const bool was_full = is_full();
  --connection_count_;
  delete connection;
  if (was_full) {
    for (const auto& listener : listeners_) wake(*listener);
  }
  end();
}

void Server::begin() noexcept {
  Py_INCREF(object_);
  if (active_++ == 0 && coev->lock_acquire(finished_, 0) < 0) PyErr_Clear();
}

void Server::end() noexcept {
  if (--active_ == 0) {
    if (coev->lock_release(finished_) < 0) PyErr_Clear();
    if (drain_watch_) coev->unpark(drain_watch_.get());
  }
  Py_DECREF(object_);
}

// --- requests ------------------------------------------------------------------------------

RequestHead* Server::take_head() noexcept {
  if (heads_.empty()) return new (std::nothrow) RequestHead(settings_.head.fields);
  RequestHead* head = heads_.back().release();
  heads_.pop_back();
  return head;
}

void Server::link_in_flight(Connection& connection) noexcept {
  connection.previous_in_flight = newest_in_flight_;
  connection.next_in_flight = nullptr;
  (newest_in_flight_ != nullptr ? newest_in_flight_->next_in_flight : oldest_in_flight_) =
      &connection;
  newest_in_flight_ = &connection;
}

void Server::unlink_in_flight(Connection& connection) noexcept {
  Connection* next = connection.next_in_flight;
  Connection* previous = connection.previous_in_flight;
  (previous != nullptr ? previous->next_in_flight : oldest_in_flight_) = next;
  (next != nullptr ? next->previous_in_flight : newest_in_flight_) = previous;
}

void Server::enter_request(Connection& connection, Nanoseconds now) noexcept {
  ++counters_.requests;
  ++in_flight_;
  connection.in_application = true;
  if (settings_.request != 0) {
    connection.request_deadline = now + settings_.request;
    link_in_flight(connection);
    if (!request_watch_ && !spawn_watch(watch_requests, &request_watch_)) PyErr_Clear();
  }
  if (settings_.requests != 0 && counters_.requests >= settings_.requests && !told_max_requests_) {
    told_max_requests_ = true;
    if (!settings_.on_max_requests) return;
    const Ref done = Ref::steal(PyObject_CallNoArgs(settings_.on_max_requests.get()));
    if (!done) PyErr_WriteUnraisable(settings_.on_max_requests.get());
  }
}

void Server::leave_request(Connection& connection) noexcept {
  if (!connection.in_application) return;
  connection.in_application = false;
  --in_flight_;
  if (connection.request_deadline == kNever) return;
  connection.request_deadline = kNever;
  unlink_in_flight(connection);
}

// All requests have the same span: the oldest is the next that is due.
void Server::time_out_requests() noexcept {
  const Nanoseconds now = now_ns();
  while (oldest_in_flight_ != nullptr && oldest_in_flight_->request_deadline <= now) {
    Connection& connection = *oldest_in_flight_;
    unlink_in_flight(connection);
    connection.request_deadline = now + settings_.request;
    link_in_flight(connection);
    ++counters_.request_timeouts;
    throw_into(connection, exceptions.request_timeout);
  }
}

bool Server::spawn_watch(int (*watch)(void*), Ref* coroutine) noexcept {
  Py_INCREF(object_);
  *coroutine = Ref::steal(coev->spawn_native(watch, this, release_watch));
  return static_cast<bool>(*coroutine);
}

void Server::release_watch(void* server) noexcept {
  Py_DECREF(static_cast<Server*>(server)->object_);
}

int Server::watch_requests(void* argument) noexcept {
  auto& server = *static_cast<Server*>(argument);
  const double span = static_cast<double>(server.settings_.request) * 1e-9;
  int result = 0;
  bool quiet = false;  // no request during the last span
  while (result >= 0 && !quiet) {
    quiet = server.oldest_in_flight_ == nullptr;
    const Nanoseconds due = quiet ? 0 : server.oldest_in_flight_->request_deadline - now_ns();
    const double seconds = quiet ? span : std::max(static_cast<double>(due) * 1e-9, 0.0);
    result = coev->sleep(seconds);
    server.time_out_requests();
    quiet = quiet && server.oldest_in_flight_ == nullptr;
  }
  server.request_watch_.reset();
  return result;
}

// --- the end -------------------------------------------------------------------------------

void Server::end_idle(bool first_ones_too) noexcept {
  for (Connection* at = connections_; at != nullptr; at = at->next) {
    const bool ends = at->idle == Idle::kBetween || (first_ones_too && at->idle == Idle::kFirst);
    if (ends && at->coroutine) coev->unpark(at->coroutine.get());
  }
}

void Server::kill_connections() noexcept {
  std::vector<Ref> targets;  // who is thrown into may run and unlink itself
  for (Connection* at = connections_; at != nullptr; at = at->next)
    if (at->coroutine) targets.push_back(Ref::borrow(at->coroutine.get()));
  for (const Ref& target : targets) {
    const Ref exception = Ref::steal(PyObject_CallNoArgs(exceptions.coroutine_exit));
    if (!exception || coev->throw_into(target.get(), exception.get()) < 0) PyErr_Clear();
  }
}

bool Server::drain(Nanoseconds deadline) noexcept {
  drain_deadline_ = std::min(drain_deadline_, deadline);
  if (draining_) {
    if (drain_watch_) coev->unpark(drain_watch_.get());
    return true;
  }
  draining_ = true;
  for (const auto& listener : listeners_) wake(*listener);
  end_idle(false);
  return active_ == 0 || spawn_watch(watch_drain, &drain_watch_);
}

int Server::watch_drain(void* argument) noexcept {
  auto& server = *static_cast<Server*>(argument);
  const Nanoseconds grace = now_ns() + kFirstRequestGrace;
  bool killed = false;
  int result = 0;
  while (result >= 0 && server.active_ > 0) {
    const Nanoseconds now = now_ns();
    if (now >= grace) server.end_idle(true);
    if (now >= server.drain_deadline_ && !killed) {
      killed = true;
      server.kill_connections();
    }
    Nanoseconds next = kNever;
    if (now < grace) next = grace;
    if (!killed) next = std::min(next, server.drain_deadline_);
    result =
        coev->park(next == kNever ? -1 : std::max(static_cast<double>(next - now) * 1e-9, 0.0));
  }
  server.drain_watch_.reset();
  return result < 0 ? -1 : 0;
}

int Server::join(double timeout) noexcept {
  const int result = coev->lock_acquire(finished_, timeout);
  if (result == 1 && coev->lock_release(finished_) < 0) return -1;
  return result;
}

}  // namespace coewsgi
