// ReplicationConnection: a connection that speaks the replication protocol.
#include <cstddef>

#include "members.h"
#include "types/connection_type.h"
#include "types/replication_type.h"
#include "values/error.h"

namespace psycoev::types {
namespace {

int replication_connection_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  ConnectionObject* self = as_connection(object);
  static const char* names[] = {"dsn", "async", "async_", "replication_type", nullptr};
  const char* dsn = nullptr;
  int is_async = 0;
  int is_async_too = 0;
  int type = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|pp$i:ReplicationConnection",
                                   const_cast<char**>(names), &dsn, &is_async, &is_async_too,
                                   &type)) {
    return -1;
  }
  if (type != kReplicationLogical && type != kReplicationPhysical) {
    PyErr_SetString(PyExc_TypeError,
                    "replication_type must be either REPLICATION_PHYSICAL or REPLICATION_LOGICAL");
    return -1;
  }
  self->replication_type = type;
  if (!connection_open(self, dsn, is_async != 0 || is_async_too != 0,
                       type == kReplicationLogical ? "database" : "true")) {
    return -1;
  }
  // The commands of replication do not run within transactions.
  self->autocommit = true;
  return 0;
}

PyMemberDef kMembers[] = {{"replication_type", T_INT, offsetof(ConnectionObject, replication_type),
                           READONLY, "REPLICATION_LOGICAL or REPLICATION_PHYSICAL."},
                          {nullptr, 0, 0, 0, nullptr}};

}  // namespace

bool add_replication_connection(PyObject* module) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("ReplicationConnection(dsn, replication_type=)")},
      {Py_tp_init, reinterpret_cast<void*>(replication_connection_init)},
      {Py_tp_members, kMembers},
      {0, nullptr}};
  static PyType_Spec spec = {"psycoev.extensions.ReplicationConnection", sizeof(ConnectionObject),
                             0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  const Ref bases(PyTuple_Pack(1, connection_type));
  const Ref type(bases ? PyType_FromSpecWithBases(&spec, bases.get()) : nullptr);
  return type && PyModule_AddObjectRef(module, "ReplicationConnection", type.get()) == 0 &&
         PyModule_AddIntConstant(module, "REPLICATION_PHYSICAL", kReplicationPhysical) == 0 &&
         PyModule_AddIntConstant(module, "REPLICATION_LOGICAL", kReplicationLogical) == 0;
}

}  // namespace psycoev::types
