#include "commands/turn.h"

#include <cstdlib>
#include <cstring>

#include "commands/failure.h"
#include "objects/objects.h"
#include "values/encoding.h"

namespace psycoev::commands {
namespace {

constexpr Py_ssize_t kNoticesKept = 50;

// Appends to a list, or to whatever the program has put there.
bool append(PyObject* list, PyObject* item) {
  if (PyList_CheckExact(list)) return PyList_Append(list, item) == 0;
  const Ref done(PyObject_CallMethod(list, "append", "O", item));
  return static_cast<bool>(done);
}

void deliver_notices(ConnectionObject* connection) {
  while (session::Notice* notice = connection->session->take_notice()) {
    if (connection->notices != nullptr && connection->notices != Py_None) {
      const Ref text(values::decode_leniently(
          notice->text, static_cast<Py_ssize_t>(std::strlen(notice->text)), connection));
      const Ref notices = Ref::borrowed(connection->notices);
      if (!text || !append(notices.get(), text.get())) PyErr_Clear();
      if (PyList_CheckExact(notices.get())) {
        const Py_ssize_t excess = PyList_GET_SIZE(notices.get()) - kNoticesKept;
        if (excess > 0 && PyList_SetSlice(notices.get(), 0, excess, nullptr) < 0) PyErr_Clear();
      }
    }
    std::free(notice);
  }
}

// OWNS: notification.
void deliver_notification(ConnectionObject* connection, PGnotify* notification) {
  if (connection->notifies != nullptr && connection->notifies != Py_None) {
    const Ref object(objects::notify_new(connection, notification));
    const Ref notifies = Ref::borrowed(connection->notifies);
    if (!object || !append(notifies.get(), object.get())) PyErr_Clear();
  }
  PQfreemem(notification);
}

}  // namespace

Turn::Turn(ConnectionObject* connection, std::int64_t deadline)
    : connection_(connection), entered_(false) {
  if (connection->session == nullptr) {
    raise_entry(session::Entry::kClosed);
    return;
  }
  const session::Entry entry = connection->session->enter(deadline);
  entered_ = entry == session::Entry::kEntered;
  if (!entered_) raise_entry(entry);
}

void Turn::end() {
  if (!entered_) return;
  entered_ = false;
  connection_->session->leave();
  deliver_messages(connection_);
}

void deliver_messages(ConnectionObject* connection) {
  session::Session* session = connection->session;
  const auto next = [connection] {
    return connection->pg != nullptr ? PQnotifies(connection->pg) : nullptr;
  };
  PGnotify* notification = next();
  if (notification == nullptr && !session->has_notices()) return;
  const SavedException saved;
  for (; notification != nullptr; notification = next()) {
    deliver_notification(connection, notification);
  }
  deliver_notices(connection);
}

bool follow_settings(ConnectionObject* connection) {
  PGconn* pg = connection->pg;
  if (pg == nullptr) return true;
  const char* standard = PQparameterStatus(pg, "standard_conforming_strings");
  connection->escape_literals = standard != nullptr && std::strcmp(standard, "off") == 0;
  const int encoding = PQclientEncoding(pg);
  if (encoding == connection->encoding_id && connection->encoding != nullptr) return true;
  const char* name = PQparameterStatus(pg, "client_encoding");
  if (name == nullptr) name = "UTF8";
  if (!values::set_codec(connection, name)) return false;
  connection->encoding_id = encoding;
  return true;
}

}  // namespace psycoev::commands
