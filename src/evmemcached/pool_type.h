// _memcached.Pool: the pool of one server as a Python object.
#pragma once

#include "pool.h"
#include "python.h"

namespace evmemcached {

struct PoolObject {
  PyObject_HEAD Pool pool;
};

extern PyTypeObject* pool_type;

[[nodiscard]] bool add_pool_type(PyObject* module) noexcept;

}  // namespace evmemcached
