#include "objects/notify.h"

#include <cstring>

#include "members.h"
#include "objects/objects.h"
#include "values/encoding.h"

namespace psycoev::objects {
namespace {

struct NotifyObject {
  PyObject_HEAD PyObject* pid;
  PyObject* channel;
  PyObject* payload;
};

PyTypeObject* notify_type;

NotifyObject* as_notify(PyObject* object) { return reinterpret_cast<NotifyObject*>(object); }

PyObject* notify_make(PyTypeObject* type, PyObject*, PyObject*) { return type->tp_alloc(type, 0); }

int notify_init(PyObject* object, PyObject* args, PyObject* keywords) {
  static const char* names[] = {"pid", "channel", "payload", nullptr};
  PyObject* pid;
  PyObject* channel;
  PyObject* payload = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO|O", const_cast<char**>(names), &pid,
                                   &channel, &payload)) {
    return -1;
  }
  const Ref none(payload == nullptr ? PyUnicode_FromString("") : Py_NewRef(payload));
  if (!none) return -1;
  NotifyObject* self = as_notify(object);
  Py_XSETREF(self->pid, Py_NewRef(pid));
  Py_XSETREF(self->channel, Py_NewRef(channel));
  Py_XSETREF(self->payload, Py_NewRef(none.get()));
  return 0;
}

int notify_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(as_notify(object)->pid);
  Py_VISIT(as_notify(object)->channel);
  Py_VISIT(as_notify(object)->payload);
  return 0;
}
int notify_clear(PyObject* object) {
  Py_CLEAR(as_notify(object)->pid);
  Py_CLEAR(as_notify(object)->channel);
  Py_CLEAR(as_notify(object)->payload);
  return 0;
}
void notify_dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  notify_clear(object);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* item(PyObject* value) { return value == nullptr ? Py_None : value; }

// (pid, channel), the sequence that a notification is, and the payload if asked for.
PyObject* as_tuple(PyObject* object, bool with_payload) {
  const NotifyObject* self = as_notify(object);
  return with_payload ? PyTuple_Pack(3, item(self->pid), item(self->channel), item(self->payload))
                      : PyTuple_Pack(2, item(self->pid), item(self->channel));
}

PyObject* notify_repr(PyObject* object) {
  const NotifyObject* self = as_notify(object);
  return PyUnicode_FromFormat("Notify(%R, %R, %R)", item(self->pid), item(self->channel),
                              item(self->payload));
}

// As a tuple it is (pid, channel), whatever its payload.
PyObject* notify_compare(PyObject* object, PyObject* other, int operation) {
  Ref mine;
  Ref theirs;
  if (Py_IS_TYPE(other, notify_type)) {
    mine = Ref(as_tuple(object, true));
    theirs = Ref(as_tuple(other, true));
  } else if (PyTuple_Check(other)) {
    mine = Ref(as_tuple(object, false));
    theirs = Ref::borrowed(other);
  } else {
    Py_RETURN_NOTIMPLEMENTED;
  }
  return mine && theirs ? PyObject_RichCompare(mine.get(), theirs.get(), operation) : nullptr;
}

Py_hash_t notify_hash(PyObject* object) {
  const int has_payload = PyObject_IsTrue(item(as_notify(object)->payload));
  if (has_payload < 0) return -1;
  const Ref tuple(as_tuple(object, has_payload == 1));
  return tuple ? PyObject_Hash(tuple.get()) : -1;
}

Py_ssize_t notify_length(PyObject*) { return 2; }

PyObject* notify_item(PyObject* object, Py_ssize_t index) {
  const NotifyObject* self = as_notify(object);
  if (index == 0) return Py_NewRef(item(self->pid));
  if (index == 1) return Py_NewRef(item(self->channel));
  PyErr_SetString(PyExc_IndexError, "index out of range");
  return nullptr;
}

PyMemberDef members[] = {
    {"pid", T_OBJECT, offsetof(NotifyObject, pid), READONLY,
     "The process of the server's session that has sent it."},
    {"channel", T_OBJECT, offsetof(NotifyObject, channel), READONLY, "The name of the channel."},
    {"payload", T_OBJECT, offsetof(NotifyObject, payload), READONLY, "The text sent, maybe empty."},
    {nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("A notification; as a sequence: (pid, channel).")},
    {Py_tp_new, reinterpret_cast<void*>(notify_make)},
    {Py_tp_init, reinterpret_cast<void*>(notify_init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(notify_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(notify_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(notify_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(notify_repr)},
    {Py_tp_richcompare, reinterpret_cast<void*>(notify_compare)},
    {Py_tp_hash, reinterpret_cast<void*>(notify_hash)},
    {Py_sq_length, reinterpret_cast<void*>(notify_length)},
    {Py_sq_item, reinterpret_cast<void*>(notify_item)},
    {Py_tp_members, members},
    {0, nullptr}};

PyType_Spec spec = {
    "psycoev.extensions.Notify", sizeof(NotifyObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    slots};

PyObject* decoded(const char* text, const ConnectionObject* connection) {
  return values::decode_leniently(text, static_cast<Py_ssize_t>(std::strlen(text)), connection);
}

}  // namespace

bool add_notify(PyObject* module) {
  notify_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return notify_type != nullptr && PyModule_AddType(module, notify_type) == 0;
}

PyObject* notify_new(ConnectionObject* connection, const PGnotify* notify) {
  Ref object(notify_type->tp_alloc(notify_type, 0));
  if (!object) return nullptr;
  NotifyObject* self = as_notify(object.get());
  self->pid = PyLong_FromLong(notify->be_pid);
  self->channel = decoded(notify->relname, connection);
  self->payload = decoded(notify->extra, connection);
  if (self->pid == nullptr || self->channel == nullptr || self->payload == nullptr) return nullptr;
  return object.release();
}

}  // namespace psycoev::objects
