// ReplicationMessage: one message of a replication stream.
#include <cstddef>

#include "members.h"
#include "types/replication_type.h"
#include "values/encoding.h"

namespace psycoev::types {
namespace {

constexpr double kEpochSeconds = 946684800;

PyTypeObject* message_type;

struct MessageObject {
  PyObject ob_base;
  PyObject* cursor;
  PyObject* payload;
  int data_size;
  unsigned long long data_start;
  unsigned long long wal_end;
  long long sent_us;
};

MessageObject* as_message(PyObject* object) { return reinterpret_cast<MessageObject*>(object); }

int message_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(as_message(object)->cursor);
  Py_VISIT(as_message(object)->payload);
  return 0;
}

int message_clear(PyObject* object) {
  Py_CLEAR(as_message(object)->cursor);
  Py_CLEAR(as_message(object)->payload);
  return 0;
}

void message_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  message_clear(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* message_repr(PyObject* object) {
  const MessageObject* self = as_message(object);
  return PyUnicode_FromFormat(
      "<ReplicationMessage object at %p; data_size: %d; data_start: %X/%X; wal_end: %X/%X; "
      "send_time: %lld>",
      object, self->data_size, static_cast<unsigned>(self->data_start >> 32),
      static_cast<unsigned>(self->data_start), static_cast<unsigned>(self->wal_end >> 32),
      static_cast<unsigned>(self->wal_end), self->sent_us);
}

PyObject* get_send_time(PyObject* object, void*) {
  const double seconds = static_cast<double>(as_message(object)->sent_us) * 1e-6 + kEpochSeconds;
  const Ref module(PyImport_ImportModule("datetime"));
  const Ref type(module ? PyObject_GetAttrString(module.get(), "datetime") : nullptr);
  return type ? PyObject_CallMethod(type.get(), "fromtimestamp", "d", seconds) : nullptr;
}

PyMemberDef kMembers[] = {
    {"cursor", T_OBJECT, offsetof(MessageObject, cursor), READONLY, "The cursor of the stream."},
    {"payload", T_OBJECT, offsetof(MessageObject, payload), READONLY, "bytes, or str if decoded."},
    {"data_size", T_INT, offsetof(MessageObject, data_size), READONLY, "Of the payload, bytes."},
    {"data_start", T_ULONGLONG, offsetof(MessageObject, data_start), READONLY,
     "Where the data begins in the log."},
    {"wal_end", T_ULONGLONG, offsetof(MessageObject, wal_end), READONLY,
     "Where the server's log ends."},
    {nullptr, 0, 0, 0, nullptr}};

PyGetSetDef kAttributes[] = {
    {"send_time", get_send_time, nullptr, "When the server sent it, a local datetime.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

}  // namespace

PyObject* replication_message_new(CursorObject* cursor, bool decodes,
                                  const commands::ReplicationData& data) {
  Ref payload(decodes ? values::decode(data.payload, data.size, cursor->connection)
                      : PyBytes_FromStringAndSize(data.payload, data.size));
  PyObject* object = payload ? message_type->tp_alloc(message_type, 0) : nullptr;
  if (object == nullptr) return nullptr;
  MessageObject* self = as_message(object);
  self->cursor = Py_NewRef(reinterpret_cast<PyObject*>(cursor));
  self->payload = payload.release();
  self->data_size = data.size;
  self->data_start = data.start;
  self->wal_end = data.end;
  self->sent_us = data.sent_us;
  return object;
}

bool add_replication_message(PyObject* module) {
  static PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("A message of a replication stream.")},
      {Py_tp_dealloc, reinterpret_cast<void*>(message_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(message_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(message_clear)},
      {Py_tp_repr, reinterpret_cast<void*>(message_repr)},
      {Py_tp_members, kMembers},
      {Py_tp_getset, kAttributes},
      {0, nullptr}};
  static PyType_Spec spec = {
      "psycoev.extensions.ReplicationMessage", sizeof(MessageObject), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  message_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return message_type != nullptr &&
         PyModule_AddObjectRef(module, "ReplicationMessage",
                               reinterpret_cast<PyObject*>(message_type)) == 0;
}

}  // namespace psycoev::types
