// A coroutine's turn on a connection: from its beginning to the end of the scope.
#pragma once

#include <cstdint>

#include "connection.h"
#include "session/session.h"

namespace psycoev::commands {

// Raises when the connection cannot be entered. At the end it gives the connection on, and hands
// the notices and notifications that came meanwhile to connection.notices and .notifies; an
// exception that is set stays set.
// REQUIRES: the caller owns a reference to the connection, or to a cursor of it.
// SWITCHES: only if another coroutine has the connection; at the end only if the program's notices
// or notifies objects do.
class Turn {
 public:
  Turn(ConnectionObject* connection, std::int64_t deadline);
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { end(); }

  // Before the scope ends, for code that must run without the connection.
  void end();
  explicit operator bool() const noexcept { return entered_; }

 private:
  ConnectionObject* connection_;
  bool entered_;
};

// Moves what the server sent beside results into connection.notices and .notifies. What cannot
// be appended is dropped, as a list of the program without append() asks for.
void deliver_messages(ConnectionObject* connection);

// Takes over what the server has told of its settings: client_encoding, and whether literals
// with backslashes need E''. False with an exception set: no codec for the encoding.
[[nodiscard]] bool follow_settings(ConnectionObject* connection);

}  // namespace psycoev::commands
