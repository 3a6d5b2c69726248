#include "pool_type.h"

#include <new>

namespace evmemcached {

PyTypeObject* pool_type = nullptr;

namespace {

Pool& pool_of(PyObject* self) noexcept { return reinterpret_cast<PoolObject*>(self)->pool; }

PyObject* pool_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"connect", "max_connections", "pool_timeout", "idle_timeout",
                                nullptr};
  PyObject* connect = nullptr;
  Py_ssize_t most = 0;
  double wait_seconds = -1, idle_seconds = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|ndd", const_cast<char**>(names),
                                   &connect, &most, &wait_seconds, &idle_seconds)) {
    return nullptr;
  }
  if (!PyCallable_Check(connect) || most < 1) {
    PyErr_SetString(PyExc_ValueError, "a pool needs a callable and at least one connection");
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  PoolLimits limits;
  limits.most = static_cast<std::size_t>(most);
  limits.wait_seconds = wait_seconds;
  limits.idle_ns = static_cast<std::int64_t>(idle_seconds * 1e9);
  new (&pool_of(self)) Pool(connect, limits);
  return self;
}

int pool_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(pool_of(self).connect());
  return 0;
}

void pool_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  pool_of(self).~Pool();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* pool_close_idle(PyObject* self, PyObject*) {
  pool_of(self).close_idle();
  Py_RETURN_NONE;
}

PyObject* pool_mark_dead(PyObject* self, PyObject* seconds) {
  const double rest = PyFloat_AsDouble(seconds);
  if (rest == -1 && PyErr_Occurred()) return nullptr;
  pool_of(self).rest(now_ns() + static_cast<std::int64_t>(rest * 1e9));
  pool_of(self).close_idle();
  Py_RETURN_NONE;
}

PyObject* pool_revive(PyObject* self, PyObject*) {
  pool_of(self).note_success();
  Py_RETURN_NONE;
}

PyObject* pool_dead_for(PyObject* self, PyObject*) {
  const std::int64_t now = now_ns();
  const Pool& pool = pool_of(self);
  return PyFloat_FromDouble(pool.is_dead(now) ? static_cast<double>(pool.rest_until() - now) / 1e9
                                              : 0.0);
}

PyObject* pool_stats(PyObject* self, PyObject*) {
  const Pool& pool = pool_of(self);
  const Pool::Counters& counters = pool.counters();
  return Py_BuildValue("{s:n,s:n,s:n,s:K,s:K,s:K,s:K}", "open",
                       static_cast<Py_ssize_t>(pool.open()), "idle",
                       static_cast<Py_ssize_t>(pool.idle()), "waiting",
                       static_cast<Py_ssize_t>(pool.waiting()), "connects", counters.connects,
                       "reuses", counters.reuses, "waits", counters.waits, "drops", counters.drops);
}

PyMethodDef methods[] = {
    {"close_idle", pool_close_idle, METH_NOARGS,
     "Close the connections that nobody uses. Switches: never."},
    {"mark_dead", pool_mark_dead, METH_O,
     "Have nobody ask the server for so many seconds. Switches: never."},
    {"revive", pool_revive, METH_NOARGS, "Forget that the server failed. Switches: never."},
    {"dead_for", pool_dead_for, METH_NOARGS,
     "For how many seconds the server is still held for dead; 0.0: it is not."},
    {"stats", pool_stats, METH_NOARGS, "Counts of connections, as a dict."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("All connections to one server, shared by all its clients.")},
    {Py_tp_new, reinterpret_cast<void*>(pool_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(pool_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(pool_traverse)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"evmemcached._memcached.Pool", sizeof(PoolObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool add_pool_type(PyObject* module) noexcept {
  pool_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return pool_type != nullptr &&
         PyModule_AddObjectRef(module, "Pool", reinterpret_cast<PyObject*>(pool_type)) == 0;
}

}  // namespace evmemcached
