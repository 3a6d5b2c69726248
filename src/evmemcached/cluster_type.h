// _memcached.Cluster: a cluster as a Python object. Its methods stand in files of
// their own: those about one key, those about many, and those of the meta protocol.
#pragma once

#include "cluster.h"
#include "python.h"

namespace evmemcached {

struct ClusterObject {
  PyObject_HEAD Cluster cluster;
  PyObject* pools;   // a tuple of Pool
  PyObject* names;   // a tuple of str
  PyObject* prefix;  // bytes
};

inline Cluster& cluster_of(PyObject* self) noexcept {
  return reinterpret_cast<ClusterObject*>(self)->cluster;
}

extern PyMethodDef single_key_methods[];
extern PyMethodDef many_keys_methods[];
extern PyMethodDef server_methods[];

[[nodiscard]] bool add_cluster_type(PyObject* module) noexcept;

// --- arguments that several methods take

// An exptime as the protocol takes it. ERRORS: false with an exception set.
[[nodiscard]] bool to_exptime(PyObject* object, long long* exptime) noexcept;
// The verb of a number that Python passes. ERRORS: false with ValueError set.
[[nodiscard]] bool to_verb(PyObject* object, Verb first, Verb last, Verb* verb) noexcept;
// Encodes `value` and looks at its length. ERRORS: false with an exception set; with
// MemcacheValueLengthError, where it is too long.
[[nodiscard]] bool encode_value(const Cluster& cluster, const Key& key, PyObject* value,
                                PyObject* flags, Py_ssize_t compressed_from,
                                Encoded* encoded) noexcept;

}  // namespace evmemcached
