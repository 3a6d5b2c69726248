// Named cursors: the rows stay at the server (PostgreSQL, DECLARE), and are fetched by FETCH.
#pragma once

#include <cstdint>

#include "cursor.h"

namespace psycoev::types {

// A named cursor serves one execute(), within a transaction unless it is WITH HOLD.
[[nodiscard]] bool can_declare(CursorObject* self);
// DECLARE ... FOR query, bytes.
[[nodiscard]] PyObject* declaration(CursorObject* self, PyObject* query);

// The transaction that it was declared in goes on; raises otherwise.
[[nodiscard]] bool require_valid(const CursorObject* self);

// FETCH FORWARD count (below 0: ALL): the rows become the cursor's result.
[[nodiscard]] bool fetch_forward(CursorObject* self, long count);
// MOVE.
[[nodiscard]] bool move(CursorObject* self, bool is_absolute, long count);
// CLOSE, where there is something to be closed.
[[nodiscard]] bool close_named(CursorObject* self);

}  // namespace psycoev::types
