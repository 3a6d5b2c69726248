#include "cluster_type.h"

#include <new>

#include "errors.h"
#include "pool_type.h"

namespace evmemcached {
namespace {

// Where an optional callable goes, or nullptr for None.
void keep(PyObject* object, PyObject** place) noexcept {
  *place = object == nullptr || object == Py_None ? nullptr : Py_NewRef(object);
}

bool take_buckets(PyObject* buckets, Router* router) noexcept {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(buckets); ++i) {
    const Py_ssize_t index = PyLong_AsSsize_t(PyTuple_GET_ITEM(buckets, i));
    if (index == -1 && PyErr_Occurred()) return false;
    if (index < 0 || static_cast<std::size_t>(index) >= router->pools.size()) {
      PyErr_SetString(PyExc_ValueError, "a bucket names no server");
      return false;
    }
    router->buckets.push_back(static_cast<std::uint32_t>(index));
  }
  return true;
}

bool take_servers(ClusterObject* self, PyObject* pools, PyObject* names,
                  PyObject* buckets) noexcept {
  Router& router = self->cluster.router;
  if (PyTuple_GET_SIZE(pools) != PyTuple_GET_SIZE(names)) {
    PyErr_SetString(PyExc_ValueError, "each pool needs a name");
    return false;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(pools); ++i) {
    PyObject* pool = PyTuple_GET_ITEM(pools, i);
    PyObject* name = PyTuple_GET_ITEM(names, i);
    if (!Py_IS_TYPE(pool, pool_type) || !PyUnicode_Check(name)) {
      PyErr_SetString(PyExc_TypeError, "a cluster is made of pools and their names");
      return false;
    }
    router.pools.push_back(&reinterpret_cast<PoolObject*>(pool)->pool);
    router.names.push_back(name);
  }
  self->pools = Py_NewRef(pools);
  self->names = Py_NewRef(names);
  return take_buckets(buckets, &router);
}

bool take_settings(ClusterObject* self, PyObject* keywords) noexcept {
  static const char* names[] = {
      "pools",         "names",           "buckets",       "hashing",
      "hash_function", "key_prefix",      "key_encoder",   "longest_key",
      "strict_keys",   "unicode_keys",    "largest_value", "timeout",
      "attempts",      "retry_seconds",   "dead_seconds",  "flush_on_reconnect",
      "serialize",     "deserialize",     "dumps",         "loads",
      "compress",      "decompress",      "encoding",      "raw",
      "strict_flags",  "compressed_from", nullptr};
  Cluster& cluster = self->cluster;
  PyObject *pools = nullptr, *server_names = nullptr, *buckets = nullptr, *prefix = nullptr;
  PyObject *hash_function = nullptr, *key_encoder = nullptr, *serialize = nullptr;
  PyObject *deserialize = nullptr, *dumps = nullptr, *loads = nullptr, *compress = nullptr;
  PyObject *decompress = nullptr, *encoding = nullptr;
  int hashing = 0, strict_keys = 1, unicode_keys = 1, flush = 0, raw = 0, strict_flags = 0;
  Py_ssize_t longest_key = 250, largest_value = 1 << 20;
  const Ref none = Ref::steal(PyTuple_New(0));
  if (!none ||
      !PyArg_ParseTupleAndKeywords(
          none.get(), keywords, "|$O!O!O!iOSOnppndIddpOOOOOOOppn", const_cast<char**>(names),
          &PyTuple_Type, &pools, &PyTuple_Type, &server_names, &PyTuple_Type, &buckets, &hashing,
          &hash_function, &prefix, &key_encoder, &longest_key, &strict_keys, &unicode_keys,
          &largest_value, &cluster.timeout, &cluster.attempts, &cluster.retry_seconds,
          &cluster.dead_seconds, &flush, &serialize, &deserialize, &dumps, &loads, &compress,
          &decompress, &encoding, &raw, &strict_flags, &cluster.codec.compressed_from)) {
    return false;
  }
  if (pools == nullptr || server_names == nullptr || buckets == nullptr) {
    PyErr_SetString(PyExc_TypeError, "a cluster needs pools, names and buckets");
    return false;
  }
  if (hashing < 0 || hashing > 2 || longest_key < 0 || largest_value < 0) {
    PyErr_SetString(PyExc_ValueError, "no such hashing, or a negative length");
    return false;
  }
  cluster.router.hashing = static_cast<Hashing>(hashing);
  cluster.router.skips_dead = cluster.dead_seconds >= 0;
  cluster.rules.longest = static_cast<std::size_t>(longest_key);
  cluster.rules.strict = strict_keys != 0;
  cluster.rules.unicode = unicode_keys != 0;
  cluster.largest_value = static_cast<std::size_t>(largest_value);
  cluster.flushes_on_return = flush != 0;
  cluster.codec.raw = raw != 0;
  cluster.codec.refuses_unknown_flags = strict_flags != 0;
  keep(hash_function, &cluster.router.hash_function);
  keep(key_encoder, &cluster.rules.encoder);
  keep(serialize, &cluster.codec.serialize);
  keep(deserialize, &cluster.codec.deserialize);
  keep(dumps, &cluster.codec.dumps);
  keep(loads, &cluster.codec.loads);
  keep(compress, &cluster.codec.compress);
  keep(decompress, &cluster.codec.decompress);
  keep(encoding, &cluster.codec.encoding);
  if (prefix != nullptr) {
    self->prefix = Py_NewRef(prefix);
    cluster.prefix = {PyBytes_AS_STRING(prefix), static_cast<std::size_t>(Py_SIZE(prefix))};
  }
  return take_servers(self, pools, server_names, buckets);
}

PyObject* cluster_new(PyTypeObject* type, PyObject*, PyObject* keywords) {
  auto* self = reinterpret_cast<ClusterObject*>(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  new (&self->cluster) Cluster();
  if (take_settings(self, keywords)) return reinterpret_cast<PyObject*>(self);
  Py_DECREF(self);
  return nullptr;
}

template <typename Visit>
int visit_all(ClusterObject* self, Visit visit) {
  Cluster& cluster = self->cluster;
  for (PyObject** place :
       {&self->pools, &self->names, &self->prefix, &cluster.router.hash_function,
        &cluster.rules.encoder, &cluster.codec.serialize, &cluster.codec.deserialize,
        &cluster.codec.dumps, &cluster.codec.loads, &cluster.codec.compress,
        &cluster.codec.decompress, &cluster.codec.encoding}) {
    if (const int result = visit(place); result != 0) return result;
  }
  return 0;
}

int cluster_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return visit_all(reinterpret_cast<ClusterObject*>(self), [&](PyObject** place) -> int {
    Py_VISIT(*place);
    return 0;
  });
}

int cluster_clear(PyObject* self) {
  // Nothing can be asked any more of a cluster in a dead cycle.
  cluster_of(self).router.pools.clear();
  cluster_of(self).router.names.clear();
  cluster_of(self).prefix = {};
  return visit_all(reinterpret_cast<ClusterObject*>(self), [](PyObject** place) {
    Py_CLEAR(*place);
    return 0;
  });
}

void cluster_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  cluster_clear(self);
  cluster_of(self).~Cluster();
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef* all_methods() noexcept {
  static PyMethodDef methods[32];
  std::size_t count = 0;
  for (const PyMethodDef* part : {single_key_methods, many_keys_methods, server_methods}) {
    for (; part->ml_name != nullptr; ++part) methods[count++] = *part;
  }
  return methods;
}

}  // namespace

PyTypeObject* cluster_type = nullptr;

bool add_cluster_type(PyObject* module) noexcept {
  PyType_Slot slots[] = {
      {Py_tp_doc, const_cast<char*>("Servers, and how keys and values are written there.")},
      {Py_tp_new, reinterpret_cast<void*>(cluster_new)},
      {Py_tp_dealloc, reinterpret_cast<void*>(cluster_dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(cluster_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(cluster_clear)},
      {Py_tp_methods, all_methods()},
      {0, nullptr},
  };
  PyType_Spec spec = {"evmemcached._memcached.Cluster", sizeof(ClusterObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
  cluster_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return cluster_type != nullptr &&
         PyModule_AddObjectRef(module, "Cluster", reinterpret_cast<PyObject*>(cluster_type)) == 0;
}

// --- arguments ---------------------------------------------------------------------------

bool to_exptime(PyObject* object, long long* exptime) noexcept {
  const Ref number = Ref::steal(PyNumber_Long(object));  // a float is cut
  if (!number) return false;
  *exptime = PyLong_AsLongLong(number.get());
  return *exptime != -1 || PyErr_Occurred() == nullptr;
}

bool to_verb(PyObject* object, Verb first, Verb last, Verb* verb) noexcept {
  const long number = PyLong_AsLong(object);
  if (number == -1 && PyErr_Occurred()) return false;
  if (number < static_cast<long>(first) || number > static_cast<long>(last)) {
    PyErr_SetString(PyExc_ValueError, "no such verb");
    return false;
  }
  *verb = static_cast<Verb>(number);
  return true;
}

bool encode_value(const Cluster& cluster, const Key& key, PyObject* value, PyObject* flags,
                  Py_ssize_t compressed_from, Encoded* encoded) noexcept {
  Ref key_bytes;  // what a serializer is told
  if (cluster.codec.serialize != nullptr) {
    key_bytes = Ref::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(key.size())));
    if (!key_bytes) return false;
    key.prefix.copy(PyBytes_AS_STRING(key_bytes.get()), key.prefix.size());
    key.text.copy(PyBytes_AS_STRING(key_bytes.get()) + key.prefix.size(), key.text.size());
  }
  if (!cluster.codec.encode(key_bytes.get(), value, compressed_from, encoded)) return false;
  if (flags != Py_None) {
    const unsigned long number = PyLong_AsUnsignedLong(flags);
    if (number == static_cast<unsigned long>(-1) && PyErr_Occurred()) return false;
    encoded->flags = static_cast<std::uint32_t>(number);
  }
  if (cluster.largest_value == 0 || encoded->bytes.size() <= cluster.largest_value) return true;
  PyErr_Format(errors::value_length, "Value length is > %zu", cluster.largest_value);
  return false;
}

}  // namespace evmemcached
