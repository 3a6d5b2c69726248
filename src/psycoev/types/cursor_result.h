// What a cursor keeps of a result, and forgets before the next one.
#pragma once

#include <cstdint>

#include "cursor.h"
#include "libpq.h"

namespace psycoev::types {

// Drops rows and description; rowcount is -1 until the next result.
void forget_result(CursorObject* cursor) noexcept;

// Takes over a statement's result, or raises what it says. REQUIRES: the turn.
// OWNS: *result. SWITCHES: only if a COPY that nobody asked for has to be ended.
[[nodiscard]] bool take_result(CursorObject* cursor, ResultPtr* result, std::int64_t deadline);

}  // namespace psycoev::types
