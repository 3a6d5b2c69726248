// One statement of the simple protocol, for whoever has the connection's turn.
#pragma once

#include <cstdint>

#include "cursor.h"
#include "libpq.h"
#include "session/session.h"

namespace psycoev::commands {

// The deadline of a statement that begins now.
[[nodiscard]] std::int64_t statement_deadline(const ConnectionObject* connection,
                                              const CursorObject* cursor = nullptr);

// Sends `sql` and receives its last result or first error, without looking at it. Where a wait
// callback is set, it does the waiting (psycopg2, "Support for coroutine libraries"); an error of
// it closes the connection.
// REQUIRES: the turn. SWITCHES: always. ERRORS: false with an exception set.
[[nodiscard]] bool run(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                       std::int64_t deadline, ResultPtr* result);

// run(), then raises unless the statement succeeded.
[[nodiscard]] bool run_checked(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                               std::int64_t deadline, ResultPtr* result);
[[nodiscard]] bool run_command(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                               std::int64_t deadline);

// run() for several statements in one: *affected is the sum of the rows that each changed or gave,
// below 0 where one does not say.
[[nodiscard]] bool run_batch(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                             std::int64_t deadline, ResultPtr* result, long long* affected);

// Raises what an unsuccessful result says. A COPY that nobody asked for is ended first.
// REQUIRES: the turn. SWITCHES: only for such a COPY.
[[nodiscard]] bool check(ConnectionObject* connection, CursorObject* cursor, ResultPtr* result,
                         std::int64_t deadline);

}  // namespace psycoev::commands
