// evmemcached._memcached: the native part of the memcached client.
//
// The arrows, each to the left:
//     buffer <- protocol; waiting <- connection <- pool <- exchange <- conversations
//     keys, codec, hashing <- router <- cluster <- the types and their methods
#include "cluster_type.h"
#include "errors.h"
#include "hashing.h"
#include "pool_type.h"
#include "waiting.h"

namespace evmemcached {
namespace {

// wait(fd, events, seconds) -> bool
PyObject* wait(PyObject*, PyObject* arguments) {
  int fd = -1, events = 0;
  double seconds = -1;
  if (!PyArg_ParseTuple(arguments, "iid", &fd, &events, &seconds)) return nullptr;
  const Waited waited = wait_fd(fd, events, Deadline::after(seconds, now_ns()), nullptr);
  return waited == Waited::kException ? nullptr : PyBool_FromLong(waited == Waited::kReady);
}

PyObject* murmur3_32(PyObject*, PyObject* arguments) {
  const char* bytes = nullptr;
  Py_ssize_t size = 0;
  unsigned int seed = 0;
  if (!PyArg_ParseTuple(arguments, "y#|I", &bytes, &size, &seed)) return nullptr;
  return PyLong_FromUnsignedLong(murmur3({bytes, static_cast<std::size_t>(size)}, seed));
}

PyMethodDef functions[] = {
    {"wait", wait, METH_VARARGS,
     "wait(fd, events, seconds): whether the fd became ready in time. Switches: always."},
    {"murmur3_32", murmur3_32, METH_VARARGS, "murmur3_32(bytes, seed=0): MurmurHash3."},
    {nullptr, nullptr, 0, nullptr},
};

int add_constants(PyObject* module) noexcept {
  const struct {
    const char* name;
    long value;
  } constants[] = {
      {"STORED", static_cast<long>(Kind::kStored)},
      {"NOT_STORED", static_cast<long>(Kind::kNotStored)},
      {"EXISTS", static_cast<long>(Kind::kExists)},
      {"NOT_FOUND", static_cast<long>(Kind::kNotFound)},
      {"SET", static_cast<long>(Verb::kSet)},
      {"ADD", static_cast<long>(Verb::kAdd)},
      {"REPLACE", static_cast<long>(Verb::kReplace)},
      {"APPEND", static_cast<long>(Verb::kAppend)},
      {"PREPEND", static_cast<long>(Verb::kPrepend)},
      {"CAS", static_cast<long>(Verb::kCas)},
      {"DELETE", static_cast<long>(Verb::kDelete)},
      {"TOUCH", static_cast<long>(Verb::kTouch)},
      {"INCR", static_cast<long>(Verb::kIncr)},
      {"DECR", static_cast<long>(Verb::kDecr)},
      {"MODULO", static_cast<long>(Hashing::kModulo)},
      {"OLD_MODULO", static_cast<long>(Hashing::kOldModulo)},
      {"RENDEZVOUS", static_cast<long>(Hashing::kRendezvous)},
  };
  for (const auto& constant : constants) {
    if (PyModule_AddIntConstant(module, constant.name, constant.value) < 0) return -1;
  }
  return 0;
}

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "_memcached",
                          "The native part of evmemcached.",
                          -1,
                          functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace
}  // namespace evmemcached

PyMODINIT_FUNC PyInit__memcached() {  // NOLINT(bugprone-reserved-identifier): CPython's name
  using namespace evmemcached;
  coev = coev_import();
  if (coev == nullptr || !errors::load()) return nullptr;
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  if (!add_pool_type(module) || !add_cluster_type(module) || add_constants(module) < 0) {
    Py_DECREF(module);
    return nullptr;
  }
  return module;
}
