#include "upgrade_type.h"

#include "runtime.h"
#include "server.h"
#include "socket_object.h"
#include "start_response_type.h"
#include "transport.h"

namespace coewsgi {
namespace {

struct UpgradeRequest {
  PyObject_HEAD Connection* connection;  // nullptr once the request is over
};

// The socket as an object that owns the descriptor from now on.
PyObject* hand_over_socket(Connection& connection) noexcept {
  if (connection.tls) return Py_NewRef(connection.tls.get());
  coev->disown_fd(connection.fd, &connection);
  PyObject* socket = make_socket_object(connection.fd);
  if (socket != nullptr) connection.fd = -1;
  return socket;
}

PyObject* upgrade_take_over(PyObject* self, PyObject* head) {
  Connection* connection = reinterpret_cast<UpgradeRequest*>(self)->connection;
  if (PyBytes_Check(head) == 0) {
    PyErr_Format(PyExc_TypeError, "the head is bytes, not %.100s", Py_TYPE(head)->tp_name);
    return nullptr;
  }
  if (connection == nullptr || connection->taken_over ||
      connection->start_response->response.head_sent) {
    PyErr_SetString(PyExc_RuntimeError, "the request is over, or a response was begun");
    return nullptr;
  }
  const ConnectionUse use(*connection);
  connection->taken_over = true;
  const std::string_view data(PyBytes_AS_STRING(head),
                              static_cast<std::size_t>(PyBytes_GET_SIZE(head)));
  const Sent sent = send_all(*connection, data);
  if (sent == Sent::kLost)
    PyErr_SetString(exceptions.client_disconnected, "the client closed the connection");
  if (sent != Sent::kAll) return nullptr;
  connection->server.counters().count_response(101);
  const Buffer* in = connection->in;
  Ref bytes = Ref::steal(
      PyBytes_FromStringAndSize(in == nullptr ? nullptr : in->begin(),
                                in == nullptr ? 0 : static_cast<Py_ssize_t>(in->left())));
  if (!bytes) return nullptr;
  Ref socket = Ref::steal(hand_over_socket(*connection));
  if (!socket) return nullptr;
  connection->server.buffers().give(std::exchange(connection->in, nullptr));
  return PyTuple_Pack(2, socket.get(), bytes.get());
}

void upgrade_dealloc(PyObject* self) { PyObject_Free(self); }

PyMethodDef upgrade_methods[] = {
    {"take_over", upgrade_take_over, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject upgrade_type = {
    .ob_base = PyVarObject_HEAD_INIT(nullptr, 0).tp_name = "coewsgi.UpgradeRequest",
    .tp_basicsize = sizeof(UpgradeRequest),
    .tp_dealloc = upgrade_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = upgrade_methods,
};

}  // namespace

bool ready_upgrade_type() noexcept { return PyType_Ready(&upgrade_type) == 0; }
PyObject* upgrade_class() noexcept { return reinterpret_cast<PyObject*>(&upgrade_type); }

PyObject* make_upgrade(Connection& connection) noexcept {
  auto* upgrade = PyObject_New(UpgradeRequest, &upgrade_type);
  if (upgrade != nullptr) upgrade->connection = &connection;
  return reinterpret_cast<PyObject*>(upgrade);
}

void end_upgrade(PyObject* upgrade) noexcept {
  if (upgrade != nullptr) reinterpret_cast<UpgradeRequest*>(upgrade)->connection = nullptr;
}

}  // namespace coewsgi
