// Two-phase commit (PEP 249, "Optional Two-Phase Commit Extensions").
#include "commands/failure.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "objects/objects.h"
#include "types/checks.h"
#include "types/connection_type.h"
#include "values/adapt.h"
#include "values/error.h"

namespace psycoev::types {

using values::exceptions;

namespace {

bool can_use(ConnectionObject* self, const char* name) {
  if (!commands::require_open(self) || !require_sync(self, name)) return false;
  if (self->server_version >= 80100) return true;
  PyErr_Format(exceptions.not_supported_error,
               "server version %d: two-phase transactions not supported", self->server_version);
  return false;
}

PyObject* refuse(const char* message) {
  PyErr_SetString(exceptions.programming_error, message);
  return nullptr;
}

bool run_with_xid(ConnectionObject* self, const char* command, PyObject* xid) {
  const Ref id(objects::xid_transaction_id(xid));
  const Ref literal(id ? values::adapt_to_sql(id.get(), self) : nullptr);
  const Ref sql(literal ? PyBytes_FromFormat("%s %s", command, PyBytes_AS_STRING(literal.get()))
                        : nullptr);
  if (!sql) return false;
  const std::int64_t deadline = commands::statement_deadline(self);
  const commands::Turn turn(self, deadline);
  return turn && commands::run_command(self, nullptr, PyBytes_AS_STRING(sql.get()), deadline);
}

void forget_xid(ConnectionObject* self) {
  self->xid_prepared = false;
  Py_CLEAR(self->xid);
}

PyObject* connection_xid(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"format_id", "gtrid", "bqual", nullptr};
  PyObject* format_id = nullptr;
  PyObject* gtrid = nullptr;
  PyObject* bqual = nullptr;
  if (!can_use(as_connection(object), "xid") ||
      !PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:xid", const_cast<char**>(names), &format_id,
                                   &gtrid, &bqual)) {
    return nullptr;
  }
  return objects::xid_new(format_id, gtrid, bqual);
}

PyObject* connection_tpc_begin(PyObject* object, PyObject* args) {
  ConnectionObject* self = as_connection(object);
  PyObject* given = nullptr;
  if (!can_use(self, "tpc_begin") || !require_unprepared(self, "tpc_begin") ||
      !PyArg_ParseTuple(args, "O:tpc_begin", &given)) {
    return nullptr;
  }
  Ref xid(objects::xid_ensure(given));
  if (!xid) return nullptr;
  if (self->xid != nullptr || commands::is_in_transaction(self)) {
    return refuse("tpc_begin must be called outside a transaction");
  }
  if (self->autocommit) return refuse("tpc_begin can't be called in autocommit mode");
  const std::int64_t deadline = commands::statement_deadline(self);
  const commands::Turn turn(self, deadline);
  if (!turn || !commands::begin_if_needed(self, nullptr, deadline)) return nullptr;
  Py_XSETREF(self->xid, xid.release());
  Py_RETURN_NONE;
}

PyObject* connection_tpc_prepare(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!can_use(self, "tpc_prepare") || !require_unprepared(self, "tpc_prepare")) return nullptr;
  if (self->xid == nullptr) return refuse("prepare must be called inside a two-phase transaction");
  const Ref xid = Ref::borrowed(self->xid);
  if (!run_with_xid(self, "PREPARE TRANSACTION", xid.get())) return nullptr;
  ++self->mark;
  self->xid_prepared = true;
  Py_RETURN_NONE;
}

// Of the connection's own transaction, prepared or not.
PyObject* finish_own(ConnectionObject* self, bool commits, const char* command) {
  if (self->xid == nullptr) {
    return refuse(
        "tpc_commit/tpc_rollback with no parameter must be called in a two-phase transaction");
  }
  const Ref xid = Ref::borrowed(self->xid);
  const bool done = self->xid_prepared ? run_with_xid(self, command, xid.get())
                    : commits          ? commands::commit(self)
                                       : commands::rollback(self);
  if (!done) return nullptr;
  forget_xid(self);
  Py_RETURN_NONE;
}

PyObject* finish(ConnectionObject* self, PyObject* args, bool commits) {
  const char* name = commits ? "tpc_commit" : "tpc_rollback";
  const char* command = commits ? "COMMIT PREPARED" : "ROLLBACK PREPARED";
  PyObject* given = nullptr;
  if (!can_use(self, name) ||
      !PyArg_ParseTuple(args, commits ? "|O:tpc_commit" : "|O:tpc_rollback", &given)) {
    return nullptr;
  }
  if (given == nullptr) return finish_own(self, commits, command);
  if (self->xid != nullptr || commands::is_in_transaction(self)) {
    return refuse("tpc_commit/tpc_rollback with a xid must be called outside a transaction");
  }
  const Ref xid(objects::xid_ensure(given));
  return xid && run_with_xid(self, command, xid.get()) ? Py_NewRef(Py_None) : nullptr;
}

PyObject* connection_tpc_commit(PyObject* object, PyObject* args) {
  return finish(as_connection(object), args, true);
}

PyObject* connection_tpc_rollback(PyObject* object, PyObject* args) {
  return finish(as_connection(object), args, false);
}

PyObject* connection_tpc_recover(PyObject* object, PyObject*) {
  ConnectionObject* self = as_connection(object);
  if (!can_use(self, "tpc_recover") || !require_unprepared(self, "tpc_recover")) return nullptr;
  const bool was_in_transaction = commands::is_in_transaction(self);
  Ref xids(objects::xid_recover(object));
  // The question itself began a transaction.
  if (xids && !was_in_transaction && !commands::rollback(self)) return nullptr;
  return xids.release();
}

}  // namespace

PyMethodDef kTwoPhaseMethods[] = {
    {"xid", method(connection_xid), METH_VARARGS | METH_KEYWORDS,
     "xid(format_id, gtrid, bqual) -> an Xid\n\nSwitches: never."},
    {"tpc_begin", connection_tpc_begin, METH_VARARGS,
     "tpc_begin(xid) -- begin a two-phase transaction\n\nSwitches: always."},
    {"tpc_prepare", connection_tpc_prepare, METH_NOARGS,
     "tpc_prepare() -- the first phase\n\nSwitches: always."},
    {"tpc_commit", connection_tpc_commit, METH_VARARGS,
     "tpc_commit(xid=None) -- commit this transaction, or one that was prepared\n\nSwitches: "
     "always."},
    {"tpc_rollback", connection_tpc_rollback, METH_VARARGS,
     "tpc_rollback(xid=None) -- undo this transaction, or one that was prepared\n\nSwitches: "
     "always."},
    {"tpc_recover", connection_tpc_recover, METH_NOARGS,
     "tpc_recover() -> the prepared transactions, a list of Xid\n\nSwitches: always."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace psycoev::types
