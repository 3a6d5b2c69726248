#include "handle_type.h"

#include <sys/socket.h>

#include <string>

#include "response.h"
#include "runtime.h"
#include "server.h"
#include "start_response_type.h"
#include "transport.h"

namespace coewsgi {
namespace {

ConnectionHandle* as_handle(PyObject* self) noexcept {
  return reinterpret_cast<ConnectionHandle*>(self);
}

PyObject* handle_early_hints(PyObject* self, PyObject* fields) {
  Connection* connection = as_handle(self)->connection;
  StartResponse* start = connection == nullptr ? nullptr : connection->start_response;
  if (start == nullptr || start->response.connection == nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "the request is over");
    return nullptr;
  }
  Response& response = start->response;
  std::string head = "HTTP/1.1 103 Early Hints\r\n";
  const Ref sequence = Ref::steal(PySequence_Fast(fields, "headers are a list of tuples"));
  if (!sequence) return nullptr;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.get()); ++i) {
    if (!append_field(head, PySequence_Fast_GET_ITEM(sequence.get(), i), nullptr)) return nullptr;
  }
  head.append("\r\n");
  // HTTP/1.0 knows no interim responses; behind a head that was sent there is no place for one.
  if (response.minor == 0 || response.head_sent) Py_RETURN_NONE;
  const ConnectionUse use(*connection);
  connection->server.counters().count_response(103);
  if (send_all(*connection, head) == Sent::kRaised) return nullptr;
  Py_RETURN_NONE;
}

PyObject* handle_client_disconnected(PyObject* self, PyObject*) {
  const Connection* connection = as_handle(self)->connection;
  if (connection == nullptr || connection->lost) Py_RETURN_TRUE;
  if (connection->taken_over || connection->fd < 0) Py_RETURN_FALSE;
  char byte = 0;
  const ssize_t got = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool is_gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  return PyBool_FromLong(is_gone ? 1 : 0);
}

void handle_dealloc(PyObject* self) { PyObject_Free(self); }

PyMethodDef handle_methods[] = {
    {"early_hints", handle_early_hints, METH_O, nullptr},
    {"client_disconnected", handle_client_disconnected, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject handle_type = {
    .ob_base = PyVarObject_HEAD_INIT(nullptr, 0).tp_name = "coewsgi.ConnectionHandle",
    .tp_basicsize = sizeof(ConnectionHandle),
    .tp_dealloc = handle_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = handle_methods,
};

}  // namespace

bool ready_handle_type() noexcept { return PyType_Ready(&handle_type) == 0; }

bool make_handle(Connection& connection) noexcept {
  if (connection.handle != nullptr) return true;
  auto* handle = PyObject_New(ConnectionHandle, &handle_type);
  if (handle == nullptr) return false;
  handle->connection = &connection;
  auto* object = reinterpret_cast<PyObject*>(handle);
  const Ref keep = Ref::steal(object);
  connection.early_hints = Ref::steal(PyObject_GetAttr(object, strings.early_hints_name));
  connection.client_disconnected =
      Ref::steal(PyObject_GetAttr(object, strings.client_disconnected_name));
  if (!connection.early_hints || !connection.client_disconnected) {
    connection.early_hints.reset();
    connection.client_disconnected.reset();
    return false;
  }
  connection.handle = handle;
  return true;
}

}  // namespace coewsgi
