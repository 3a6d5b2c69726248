// What the methods of a connection and of its cursors need; each raises and returns false.
#pragma once

#include "cursor.h"

namespace psycoev::types {

[[nodiscard]] bool require_sync(const ConnectionObject* connection, const char* name);
[[nodiscard]] bool require_no_transaction(const ConnectionObject* connection, const char* name);
[[nodiscard]] bool require_no_xid(const ConnectionObject* connection, const char* name);
[[nodiscard]] bool require_unprepared(const ConnectionObject* connection, const char* name);
// Connected: an asynchronous connection is when poll() said so.
[[nodiscard]] bool require_connected(const ConnectionObject* connection);

// The cursor has a connection that is open, and is open itself.
[[nodiscard]] bool require_open_cursor(const CursorObject* cursor);
[[nodiscard]] bool require_no_async_query(const CursorObject* cursor, const char* name);

}  // namespace psycoev::types
