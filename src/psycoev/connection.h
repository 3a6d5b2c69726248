// The layout of psycoev.extensions.connection: what values, commands and types know of one.
#pragma once

#include "libpq.h"
#include "python.h"

namespace psycoev {

namespace session {
class Session;
}

// How text of a connection's client_encoding becomes str and back (values/encoding.h).
struct Codec {
  enum class Kind : unsigned char { kUtf8, kAscii, kLatin1, kOther };
  Kind kind = Kind::kUtf8;
  PyObject* encoder = nullptr;  // owned; codecs.getencoder() of the Python name
  PyObject* decoder = nullptr;  // owned
};

struct ConnectionObject {
  PyObject ob_base;
  session::Session* session;  // owned; null before __init__

  // Null when the connection was never made, is closed or broken. Only the session writes it; it
  // may become null whenever other code runs (a switch, any call of Python code): look again then.
  PGconn* pg;
  long closed;  // 0 open, 1 closed by the program, 2 broken

  Codec codec;
  PyObject* encoding;    // str: PostgreSQL's name, normalized as in `connection.encoding`
  bool escape_literals;  // literals with backslashes need the form E'...'

  PyObject* dsn;             // str, the password obscured
  PyObject* string_types;    // dict: oid -> typecaster, of this connection alone; null: none yet
  PyObject* binary_types;    // dict
  PyObject* cursor_factory;  // None or a callable
  PyObject* notices;         // list, or what the program has put there
  PyObject* notifies;        // list, or what the program has put there
  PyObject* xid;             // the two-phase transaction under way, or null
  PyObject* async_cursor;    // weak reference: the cursor whose query runs on an async connection
  PyObject* weak_references;

  int isolation_level;  // 1-4 as in extensions.ISOLATION_LEVEL_*, 5: the server's default
  int readonly;         // 0, 1; 2: the server's default
  int deferrable;       // 0, 1; 2: the server's default
  bool autocommit;
  bool is_async;
  bool xid_prepared;   // PREPARE TRANSACTION has succeeded
  int server_version;  // as PQserverVersion, kept after close
  int protocol_version;
  bool entered;     // within `with connection`
  bool connecting;  // an asynchronous connection that poll() still has to connect
  // Counts transactions: named cursors and large objects of older ones are dead.
  unsigned long mark;
  int encoding_id;       // PQclientEncoding() that `codec` was made for
  int replication_type;  // 0, or REPLICATION_* of the module
  double timeout;        // seconds for each statement; below 0: without limit

  PyObject* pipeline;  // borrowed: the block of pipeline() that has the turn, or null

  // A query whose waits the program does: by poll() of an asynchronous connection, or in the wait
  // callback.
  unsigned char poll_state;  // commands/polling.h
  PGresult* polled_result;   // owned; what poll() has received
};

// The type object (types/connection.cpp); valid once the module is made.
extern PyTypeObject* connection_type;

[[nodiscard]] inline ConnectionObject* as_connection(PyObject* object) noexcept {
  return reinterpret_cast<ConnectionObject*>(object);
}
[[nodiscard]] inline bool is_connection(PyObject* object) noexcept {
  return PyObject_TypeCheck(object, connection_type);
}

}  // namespace psycoev
