// The methods of a cluster about one of its servers, and about values alone.
#include "cluster_type.h"
#include "errors.h"

namespace evmemcached {
namespace {

// command(server, request, end_token, noreply) -> bytes
PyObject* method_command(PyObject* self, PyObject* arguments) {
  Py_ssize_t server = 0, request_size = 0, token_size = 0;
  const char *request = nullptr, *token = nullptr;
  int noreply = 0;
  Cluster& cluster = cluster_of(self);
  if (!PyArg_ParseTuple(arguments, "ny#y#p", &server, &request, &request_size, &token, &token_size,
                        &noreply)) {
    return nullptr;
  }
  if (server < 0 || static_cast<std::size_t>(server) >= cluster.router.pools.size()) {
    PyErr_SetString(PyExc_IndexError, "no such server");
    return nullptr;
  }
  Raw conversation({request, static_cast<std::size_t>(request_size)},
                   {token, static_cast<std::size_t>(token_size)}, noreply != 0);
  if (!cluster.ask_server(static_cast<std::size_t>(server), conversation)) return nullptr;
  const std::string_view reply = conversation.reply.view();
  return PyBytes_FromStringAndSize(reply.data(), static_cast<Py_ssize_t>(reply.size()));
}

// route(key) -> the index of the server, or -1
PyObject* method_route(PyObject* self, PyObject* object) {
  Cluster& cluster = cluster_of(self);
  Key key;
  if (!cluster.rules.make(object, cluster.prefix, true, &key)) return nullptr;
  const int index = cluster.router.route(key, object, now_ns());
  return index == Router::kException ? nullptr : PyLong_FromLong(index);
}

// decode(key, value, flags) -> what get() gives for it
PyObject* method_decode(PyObject* self, PyObject* arguments) {
  PyObject* key = nullptr;
  const char* value = nullptr;
  Py_ssize_t size = 0;
  unsigned int flags = 0;
  if (!PyArg_ParseTuple(arguments, "Oy#I", &key, &value, &size, &flags)) return nullptr;
  Fetched fetched;
  fetched.flags = flags;
  const Codec& codec = cluster_of(self).codec;
  if (!codec.try_decode({value, static_cast<std::size_t>(size)}, &fetched)) return nullptr;
  return codec.decode(key, &fetched);
}

// encode(key, value) -> (bytes, flags) as set() sends them
PyObject* method_encode(PyObject* self, PyObject* arguments) {
  PyObject *object = nullptr, *value = nullptr;
  if (!PyArg_ParseTuple(arguments, "OO", &object, &value)) return nullptr;
  const Cluster& cluster = cluster_of(self);
  Key key;
  Encoded encoded;
  if (!cluster.rules.make(object, cluster.prefix, false, &key) ||
      !encode_value(cluster, key, value, Py_None, cluster.codec.compressed_from, &encoded)) {
    return nullptr;
  }
  return Py_BuildValue("y#I", encoded.bytes.data(), static_cast<Py_ssize_t>(encoded.bytes.size()),
                       static_cast<unsigned int>(encoded.flags));
}

}  // namespace

PyMethodDef server_methods[] = {
    {"command", method_command, METH_VARARGS,
     "command(server, request, end_token, noreply): the reply up to the token, or the lines up "
     "to END where the token is empty. Switches: always."},
    {"route", method_route, METH_O,
     "route(key): the index of the key's server; -1: none is alive."},
    {"decode", method_decode, METH_VARARGS, "decode(key, value, flags): the value."},
    {"encode", method_encode, METH_VARARGS, "encode(key, value): (bytes, flags)."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace evmemcached
