// Large objects by the server's SQL functions, because libpq's lo_* block the whole thread.
#pragma once

#include "connection.h"

namespace psycoev::commands {

// Each is one statement in the running transaction, which it begins where there is none
// (lo_begin does that), and raises as execute() would.
// REQUIRES: the connection is open; not autocommit (the caller has said so to the program).
// SWITCHES: always. The connection's lock is taken inside; while a call waits, the program may
// close the connection or end the transaction: look at connection->mark again afterwards.

// Begins the transaction if none runs. False with an exception set.
[[nodiscard]] bool lo_begin(ConnectionObject* connection);
// lo_create(oid); 0: the server chooses. The oid; InvalidOid with an exception set.
[[nodiscard]] Oid lo_create(ConnectionObject* connection, Oid oid);
// mode: 0x20000 write, 0x40000 read. The server's descriptor; -1 with an exception set.
[[nodiscard]] int lo_open(ConnectionObject* connection, Oid oid, int mode);
[[nodiscard]] bool lo_close(ConnectionObject* connection, int descriptor);
// bytes, at most size and fewer only at the end; null with an exception set.
[[nodiscard]] PyObject* lo_read(ConnectionObject* connection, int descriptor, Py_ssize_t size);
// Bytes written, all of them; -1 with an exception set.
[[nodiscard]] Py_ssize_t lo_write(ConnectionObject* connection, int descriptor, const char* data,
                                  Py_ssize_t size);
// The new position; -1 with an exception set. whence: 0 start, 1 current, 2 end.
[[nodiscard]] long long lo_seek(ConnectionObject* connection, int descriptor, long long offset,
                                int whence);
[[nodiscard]] long long lo_tell(ConnectionObject* connection, int descriptor);
[[nodiscard]] bool lo_truncate(ConnectionObject* connection, int descriptor, long long size);
[[nodiscard]] bool lo_unlink(ConnectionObject* connection, Oid oid);
// Local files, read and written off the coroutine's thread. oid as in lo_create().
[[nodiscard]] Oid lo_import(ConnectionObject* connection, const char* path, Oid oid);
[[nodiscard]] bool lo_export(ConnectionObject* connection, Oid oid, const char* path);

}  // namespace psycoev::commands
