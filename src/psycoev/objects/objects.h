// The small objects that a connection and a cursor give: Column, Notify, Xid, lobject.
#pragma once

#include "cursor.h"

namespace psycoev::objects {

// Adds the types to the module. False with an exception set.
[[nodiscard]] bool add_to_module(PyObject* module);

// cursor.description of a result with rows: a tuple of Column.
[[nodiscard]] PyObject* make_description(CursorObject* cursor, const PGresult* result);

// extensions.Notify(pid, channel, payload).
[[nodiscard]] PyObject* notify_new(ConnectionObject* connection, const PGnotify* notify);

// extensions.Xid of a str or an Xid; a new reference. TypeError otherwise.
[[nodiscard]] PyObject* xid_ensure(PyObject* object);
[[nodiscard]] PyObject* xid_new(PyObject* format_id, PyObject* gtrid, PyObject* bqual);
// The transaction id for PREPARE TRANSACTION, a str.
[[nodiscard]] PyObject* xid_transaction_id(PyObject* xid);
// connection.tpc_recover(): a list of Xid, by a cursor of the connection.
[[nodiscard]] PyObject* xid_recover(PyObject* connection);

// The type of connection.lobject() without a factory: (connection, oid, mode, new_oid, new_file).
extern PyTypeObject* lobject_type;

}  // namespace psycoev::objects
