// ReplicationConnection, ReplicationCursor and ReplicationMessage, which psycoev.extras builds on.
#pragma once

#include "commands/replication_stream.h"
#include "cursor.h"

namespace psycoev::types {

// The values of connection->replication_type, and of the module's REPLICATION_*.
constexpr int kReplicationPhysical = 12345678;
constexpr int kReplicationLogical = 87654321;

[[nodiscard]] bool add_replication_connection(PyObject* module);
[[nodiscard]] bool add_replication_cursor(PyObject* module);
[[nodiscard]] bool add_replication_message(PyObject* module);

// A cursor that waits for its stream to begin takes the result that begins it: true.
[[nodiscard]] bool begin_stream(CursorObject* cursor, const PGresult* result);

// A new message object. Null with an exception set.
[[nodiscard]] PyObject* replication_message_new(CursorObject* cursor, bool decodes,
                                                const commands::ReplicationData& data);

}  // namespace psycoev::types
