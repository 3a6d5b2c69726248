// What a session's outcomes are as exceptions.
#pragma once

#include "cursor.h"
#include "session/session.h"

namespace psycoev::commands {

// Raises for every outcome but kDone; cursor may be null. Returns null.
PyObject* raise_outcome(ConnectionObject* connection, CursorObject* cursor,
                        session::Outcome outcome);

// Raises for every entry but kEntered. Returns null.
PyObject* raise_entry(session::Entry entry);

// InterfaceError "connection already closed", or what fork has made of it. False when raised.
[[nodiscard]] bool require_open(const ConnectionObject* connection);

}  // namespace psycoev::commands
