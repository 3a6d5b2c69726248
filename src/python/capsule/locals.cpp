#include "core/local.h"
#include "python/capsule/functions.h"
#include "python/capsule/outcome.h"

namespace coev::python {
namespace {

bool is_local_key(int key) noexcept {
  return key >= 0 && static_cast<size_t>(key) < LocalStorage::kMaximumKeys;
}

}  // namespace

int api_local_key(void (*destructor)(void*)) {
  const int key = create_local_key(destructor);
  if (key < 0) PyErr_SetString(PyExc_RuntimeError, "no key for coroutine-local storage is left");
  return key;
}

void* api_local_get(int key) {
  return is_local_key(key) ? thread_state::scheduler().current().locals.get(key) : nullptr;
}

int api_local_set(int key, void* value) {
  if (!is_local_key(key)) {
    PyErr_SetString(PyExc_ValueError, "not a key of coroutine-local storage");
    return -1;
  }
  if (thread_state::scheduler().current().locals.set(key, value)) return 0;
  PyErr_NoMemory();
  return -1;
}

}  // namespace coev::python
