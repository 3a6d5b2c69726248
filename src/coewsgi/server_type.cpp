#include "server_type.h"

#include <array>
#include <new>

#include "environ.h"
#include "runtime.h"
#include "server.h"

namespace coewsgi {
namespace {

struct ServerObject {
  PyObject_HEAD Server server;
};

Server& server_of(PyObject* self) noexcept { return reinterpret_cast<ServerObject*>(self)->server; }

PyObject* server_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  new (&server_of(self)) Server(self);
  if (server_of(self).prepare(args, kwargs)) return self;
  Py_DECREF(self);
  return nullptr;
}

void server_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  server_of(self).~Server();
  Py_TYPE(self)->tp_free(self);
}

int server_traverse(PyObject* self, visitproc visit, void* arg) {
  return server_of(self).traverse(visit, arg);
}

int server_clear(PyObject* self) {
  server_of(self).clear();
  return 0;
}

bool to_optional_callable(PyObject* object, const char* name, Ref* callable) noexcept {
  if (object == nullptr || object == Py_None) return true;
  *callable = Ref::borrow(object);
  if (PyCallable_Check(object) != 0) return true;
  PyErr_Format(PyExc_TypeError, "%s is not callable", name);
  return false;
}

// false: an exception is set.
bool start(Server& server, PyObject* args, PyObject* kwargs) noexcept {
  static const char* const kNames[] = {"listener",    "environ",        "tls",
                                       "tls_environ", "proxy_protocol", nullptr};
  PyObject* socket = nullptr;
  PyObject* environ = nullptr;
  PyObject* tls = nullptr;
  PyObject* tls_environ = nullptr;
  int proxy_protocol = 0;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOp:start", const_cast<char**>(kNames),
                                  &socket, &environ, &tls, &tls_environ, &proxy_protocol) == 0)
    return false;
  if (server.draining()) {
    PyErr_SetString(PyExc_RuntimeError, "the server is draining");
    return false;
  }
  std::unique_ptr<Listener> listener(new (std::nothrow) Listener(server, socket));
  if (listener == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  listener->fd = PyObject_AsFileDescriptor(socket);
  if (listener->fd < 0) return false;
  listener->proxy_protocol = proxy_protocol != 0;
  if (!to_optional_callable(tls, "tls", &listener->tls) ||
      !to_optional_callable(tls_environ, "tls_environ", &listener->tls_environ))
    return false;
  listener->environ = Ref::steal(make_template(server.settings().environ.get(), environ));
  return listener->environ && server.start(std::move(listener));
}

PyObject* server_start(PyObject* self, PyObject* args, PyObject* kwargs) {
  if (!start(server_of(self), args, kwargs)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* server_serve(PyObject* self, PyObject* args, PyObject* kwargs) {
  if (!start(server_of(self), args, kwargs) || server_of(self).join(-1) < 0) return nullptr;
  Py_RETURN_NONE;
}

// One optional timeout in seconds. `*seconds` is below 0 for None.
bool parse_timeout(PyObject* args, PyObject* kwargs, const char* format, double* seconds) noexcept {
  static const char* const kNames[] = {"timeout", nullptr};
  PyObject* timeout = Py_None;
  *seconds = -1;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, format, const_cast<char**>(kNames), &timeout) == 0)
    return false;
  if (timeout == Py_None) return true;
  *seconds = PyFloat_AsDouble(timeout);
  if (PyErr_Occurred() != nullptr) return false;
  if (*seconds >= 0) return true;
  PyErr_SetString(PyExc_ValueError, "the timeout is negative");
  return false;
}

PyObject* server_drain(PyObject* self, PyObject* args, PyObject* kwargs) {
  double seconds = 0;
  if (!parse_timeout(args, kwargs, "|O:drain", &seconds)) return nullptr;
  const bool is_limited = seconds >= 0 && seconds < 1e9;
  const Nanoseconds deadline =
      is_limited ? now_ns() + static_cast<Nanoseconds>(seconds * 1e9) : kNever;
  if (!server_of(self).drain(deadline)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* server_join(PyObject* self, PyObject* args, PyObject* kwargs) {
  double seconds = 0;
  if (!parse_timeout(args, kwargs, "|O:join", &seconds)) return nullptr;
  const Ref keep = Ref::borrow(self);
  const int ended = server_of(self).join(seconds);
  return ended < 0 ? nullptr : PyBool_FromLong(ended);
}

PyObject* server_counters(PyObject* self, PyObject*) {
  Server& server = server_of(self);
  const Counters& counters = server.counters();
  struct Item {
    const char* name;
    std::uint64_t value;
  };
  const std::array<Item, 20> items = {{
      {"accepts", counters.accepts},
      {"requests", counters.requests},
      {"responses_1xx", counters.responses[0]},
      {"responses_2xx", counters.responses[1]},
      {"responses_3xx", counters.responses[2]},
      {"responses_4xx", counters.responses[3]},
      {"responses_5xx", counters.responses[4]},
      {"bad_requests", counters.bad_requests},
      {"timeouts", counters.timeouts},
      {"request_timeouts", counters.request_timeouts},
      {"exceptions", counters.exceptions},
      {"read_errors", counters.read_errors},
      {"refused_connections", counters.refused_connections},
      {"accept_pauses", counters.accept_pauses},
      {"received_bytes", counters.received_bytes},
      {"sent_bytes", counters.sent_bytes},
      {"connections", server.connection_count()},
      {"idle", server.idle_count()},
      {"in_flight", server.in_flight()},
      {"buffered_bytes", server.buffers().lent_bytes()},
  }};
  Ref dict = Ref::steal(PyDict_New());
  for (const Item& item : items) {
    const Ref value = Ref::steal(PyLong_FromUnsignedLongLong(item.value));
    if (!dict || !value || PyDict_SetItemString(dict.get(), item.name, value.get()) < 0)
      return nullptr;
  }
  return dict.release();
}

PyObject* server_latency(PyObject* self, PyObject* argument) {
  const double quantile = PyFloat_AsDouble(argument);
  if (PyErr_Occurred() != nullptr) return nullptr;
  if (!(quantile >= 0 && quantile <= 1)) {
    PyErr_SetString(PyExc_ValueError, "a quantile is between 0 and 1");
    return nullptr;
  }
  return PyFloat_FromDouble(server_of(self).latency().quantile(quantile));
}

PyObject* server_draining(PyObject* self, void*) {
  return PyBool_FromLong(server_of(self).draining() ? 1 : 0);
}

PyMethodDef server_methods[] = {
    {"start", as_method(server_start), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"serve", as_method(server_serve), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"drain", as_method(server_drain), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"join", as_method(server_join), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"counters", server_counters, METH_NOARGS, nullptr},
    {"latency", server_latency, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef server_properties[] = {
    {"draining", server_draining, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyTypeObject server_type = {
    .ob_base = PyVarObject_HEAD_INIT(nullptr, 0).tp_name = "coewsgi.Server",
    .tp_basicsize = sizeof(ServerObject),
    .tp_dealloc = server_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = server_traverse,
    .tp_clear = server_clear,
    .tp_methods = server_methods,
    .tp_getset = server_properties,
    .tp_new = server_new,
};

}  // namespace

bool ready_server_type() noexcept { return PyType_Ready(&server_type) == 0; }
PyObject* server_class() noexcept { return reinterpret_cast<PyObject*>(&server_type); }

}  // namespace coewsgi
