// connection.pipeline(): a block whose statements do not wait for one another's answers.
#pragma once

#include <cstdint>

#include "cursor.h"
#include "session/session.h"

namespace psycoev::types {

[[nodiscard]] bool add_pipeline(PyObject* module);

// Whether the running coroutine is within a block of pipeline() of this connection.
[[nodiscard]] inline bool is_in_pipeline(const ConnectionObject* connection) noexcept {
  return connection->pipeline != nullptr && connection->session->is_entered_by_current();
}

// Sends a statement, whose result comes to the cursor later.
// REQUIRES: is_in_pipeline(). SWITCHES: only if the socket's buffer is full.
[[nodiscard]] bool pipeline_execute(CursorObject* cursor, const char* sql, std::int64_t deadline);

// Receives up to the cursor's last result, if one is still to come.
// REQUIRES: is_in_pipeline(). SWITCHES: only if it has not come yet.
[[nodiscard]] bool pipeline_receive(CursorObject* cursor);

}  // namespace psycoev::types
