// Connecting: every wait of it lets other coroutines run, name service, TLS and SCRAM included.
#pragma once

#include <string>

#include "session/session.h"

namespace psycoev::session {

// What is added to a connection string that the program gave.
struct ConnectOptions {
  const char* replication = nullptr;  // "database" or "true"
};

// Tries each address of each host, each within connect_timeout. A connected PGconn, or null with
// what libpq said of every try in *error; that is empty where an exception is set instead.
// SWITCHES: always.
[[nodiscard]] PGconn* connect(const std::string& dsn, const ConnectOptions& options,
                              std::string* error);

// Begins to connect, for a connection that the program polls. Names are resolved before.
// SWITCHES: always.
[[nodiscard]] PGconn* begin_connecting(const std::string& dsn, const ConnectOptions& options,
                                       std::string* error);

}  // namespace psycoev::session
