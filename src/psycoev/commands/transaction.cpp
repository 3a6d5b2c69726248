#include "commands/transaction.h"

#include <cstdio>

#include "commands/run.h"
#include "commands/turn.h"
#include "session/session.h"

namespace psycoev::commands {
namespace {

bool is_manual(const ConnectionObject* connection) noexcept {
  return connection->autocommit && !connection->entered;
}

bool end(ConnectionObject* connection, const char* sql) {
  const std::int64_t deadline = statement_deadline(connection);
  const Turn turn(connection, deadline);
  if (!turn) return false;
  if (!is_in_transaction(connection)) return true;
  ++connection->mark;
  return run_command(connection, nullptr, sql, deadline);
}

}  // namespace

const char* isolation_name(int level) noexcept {
  constexpr const char* kNames[] = {"", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE",
                                    "READ UNCOMMITTED"};
  return level >= 1 && level <= 4 ? kNames[level] : "default";
}

bool is_in_transaction(const ConnectionObject* connection) noexcept {
  if (is_manual(connection) || connection->session == nullptr) return false;
  const PGTransactionStatusType status = connection->session->transaction_status();
  return status != PQTRANS_IDLE && status != PQTRANS_UNKNOWN;
}

void begin_statement(const ConnectionObject* connection, char* sql) noexcept {
  const bool isolated = connection->isolation_level != kIsolationDefault;
  const auto choose = [](int setting, const char* off, const char* on) {
    return setting == kSettingDefault ? "" : setting != 0 ? on : off;
  };
  std::snprintf(sql, kBeginSize, "BEGIN%s%s%s%s", isolated ? " ISOLATION LEVEL " : "",
                isolated ? isolation_name(connection->isolation_level) : "",
                choose(connection->readonly, " READ WRITE", " READ ONLY"),
                choose(connection->deferrable, " NOT DEFERRABLE", " DEFERRABLE"));
}

bool begin_if_needed(ConnectionObject* connection, CursorObject* cursor, std::int64_t deadline) {
  if (is_manual(connection) || connection->session->transaction_status() != PQTRANS_IDLE) {
    return true;
  }
  char sql[kBeginSize];
  begin_statement(connection, sql);
  return run_command(connection, cursor, sql, deadline);
}

bool commit(ConnectionObject* connection) { return end(connection, "COMMIT"); }

bool rollback(ConnectionObject* connection) { return end(connection, "ROLLBACK"); }

bool rollback_in_turn(ConnectionObject* connection, std::int64_t deadline) {
  if (connection->session->transaction_status() == PQTRANS_IDLE) return true;
  ++connection->mark;
  return run_command(connection, nullptr, "ROLLBACK", deadline);
}

}  // namespace psycoev::commands
