// Queries of asynchronous connections: execute() sends, poll() receives, the cursor has the rows.
#pragma once

#include "cursor.h"

namespace psycoev::types {

// Sends; the connection remembers the cursor by a weak reference. False with an exception set.
[[nodiscard]] bool begin_async_query(CursorObject* cursor, const char* sql);

// poll(), and the result to its cursor when it is there.
[[nodiscard]] int poll_and_finish(ConnectionObject* connection);

}  // namespace psycoev::types
