// How a connection begins: connects, learns the server's settings, and sets its own.
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "commands/failure.h"
#include "commands/polling.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "session/connecting.h"
#include "types/connection_type.h"
#include "types/replication_type.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::types {

using values::exceptions;

namespace {

constexpr char kSetDateStyle[] = "SET DATESTYLE TO 'ISO'";

bool needs_date_style(ConnectionObject* self) {
  // A connection for physical replication has no SET.
  if (self->replication_type == kReplicationPhysical) return false;
  const char* style = PQparameterStatus(self->pg, "DateStyle");
  return style != nullptr && std::strncmp(style, "ISO", 3) != 0;
}

std::string quoted(const char* value) {
  if (*value != '\0' && std::strpbrk(value, " \t\n\r\v\f") == nullptr &&
      std::strpbrk(value, "'\\") == nullptr) {
    return value;
  }
  std::string text = "'";
  for (const char* c = value; *c != '\0'; ++c) {
    if (*c == '\'' || *c == '\\') text += '\\';
    text += *c;
  }
  return text + "'";
}

// The connection string as the program gave it, unless it has a password.
PyObject* obscured(const char* dsn) {
  const ConninfoPtr options(PQconninfoParse(dsn, nullptr));
  bool has_password = false;
  std::string text;
  for (const PQconninfoOption* o = options.get(); o != nullptr && o->keyword != nullptr; ++o) {
    if (o->val == nullptr) continue;
    const bool is_password = std::strcmp(o->keyword, "password") == 0;
    has_password |= is_password;
    if (!text.empty()) text += ' ';
    text += std::string(o->keyword) + "=" + (is_password ? "xxx" : quoted(o->val));
  }
  return PyUnicode_DecodeUTF8(has_password ? text.c_str() : dsn,
                              static_cast<Py_ssize_t>(has_password ? text.size() : strlen(dsn)),
                              "replace");
}

void raise_not_connected(const std::string& error) {
  if (PyErr_Occurred()) return;
  const Ref text(
      PyUnicode_DecodeUTF8(error.data(), static_cast<Py_ssize_t>(error.size()), "replace"));
  if (text) PyErr_SetObject(exceptions.operational_error, text.get());
}

void learn_server(ConnectionObject* self) {
  self->server_version = PQserverVersion(self->pg);
  self->protocol_version = PQprotocolVersion(self->pg);
}

bool set_up(ConnectionObject* self) {
  learn_server(self);
  const commands::Turn turn(self, COEV_NEVER);
  if (!turn || !commands::follow_settings(self)) return false;
  return !needs_date_style(self) || commands::run_command(self, nullptr, kSetDateStyle, COEV_NEVER);
}

// Polls an asynchronous connection after libpq has connected.
int poll_set_up(ConnectionObject* self) {
  if (self->poll_state == commands::kPollIdle) {
    self->session->update_socket();
    learn_server(self);
    if (!commands::follow_settings(self)) return -1;
    if (needs_date_style(self)) {
      if (!commands::begin_polled(self, nullptr, kSetDateStyle)) return -1;
      return commands::kPollWrite;
    }
  }
  return commands::kPollOk;
}

}  // namespace

bool connection_open(ConnectionObject* self, const char* dsn, bool is_async,
                     const char* replication) {
  if (self->session != nullptr) {
    PyErr_SetString(exceptions.programming_error, "the connection is initialized already");
    return false;
  }
  Py_XSETREF(self->dsn, obscured(dsn));
  Py_XSETREF(self->notices, PyList_New(0));
  Py_XSETREF(self->notifies, PyList_New(0));
  self->session = new (std::nothrow) session::Session(&self->pg, &self->closed);
  if (self->session == nullptr) return PyErr_NoMemory(), false;
  if (self->dsn == nullptr || self->notices == nullptr || self->notifies == nullptr ||
      !self->session->prepare()) {
    return false;
  }
  self->is_async = is_async;
  self->autocommit = is_async;
  const session::ConnectOptions options{replication};
  std::string error;
  PGconn* pg = is_async ? session::begin_connecting(dsn, options, &error)
                        : session::connect(dsn, options, &error);
  if (pg == nullptr) {
    self->closed = 2;
    raise_not_connected(error);
    return false;
  }
  self->session->attach(pg);
  if (!is_async) {
    if (set_up(self)) return true;
    self->session->close(2);
    return false;
  }
  self->connecting = true;
  if (PQstatus(pg) != CONNECTION_BAD) return true;
  raise_not_connected(PQerrorMessage(pg));
  self->session->close(2);
  return false;
}

int connection_poll(ConnectionObject* self) {
  if (!self->connecting) return commands::poll(self);
  if (self->poll_state == commands::kPollIdle) {
    const int answer = commands::poll(self);
    if (answer != commands::kPollOk) return answer;
    const int setting = poll_set_up(self);
    if (setting == commands::kPollOk) self->connecting = false;
    return setting;
  }
  const int answer = commands::poll_query(self);
  if (answer != commands::kPollOk) return answer;
  ResultPtr result(std::exchange(self->polled_result, nullptr));
  self->connecting = false;
  return result == nullptr || commands::check(self, nullptr, &result, COEV_NEVER)
             ? static_cast<int>(commands::kPollOk)
             : -1;
}

}  // namespace psycoev::types
