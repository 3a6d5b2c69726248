// Transactions as psycopg2 has them: the first statement begins one, unless under autocommit.
#pragma once

#include <cstdint>

#include "cursor.h"

namespace psycoev::commands {

// connection->isolation_level, readonly and deferrable where the server's default holds.
constexpr int kIsolationDefault = 5;
constexpr int kSettingDefault = 2;

// What SQL calls an isolation level (1 to 4).
[[nodiscard]] const char* isolation_name(int level) noexcept;

// BEGIN with the connection's characteristics, into a buffer of kBeginSize.
constexpr int kBeginSize = 128;
void begin_statement(const ConnectionObject* connection, char* sql) noexcept;

// Sends BEGIN with the connection's characteristics where a statement needs it.
// REQUIRES: the turn. SWITCHES: only if it sends.
[[nodiscard]] bool begin_if_needed(ConnectionObject* connection, CursorObject* cursor,
                                   std::int64_t deadline);

// COMMIT or ROLLBACK, where a transaction of ours is open. Takes its turn.
[[nodiscard]] bool commit(ConnectionObject* connection);
[[nodiscard]] bool rollback(ConnectionObject* connection);
// rollback() for whoever has the turn.
[[nodiscard]] bool rollback_in_turn(ConnectionObject* connection, std::int64_t deadline);

// Whether commit() would do something: no autocommit, and the server says so.
[[nodiscard]] bool is_in_transaction(const ConnectionObject* connection) noexcept;

}  // namespace psycoev::commands
