// The methods of a cluster about one key.
#include <charconv>

#include "cluster_type.h"
#include "errors.h"

namespace evmemcached {

namespace {

constexpr std::uint32_t kOnly[] = {0};

bool expects(Py_ssize_t given, Py_ssize_t wanted) noexcept {
  if (given == wanted) return true;
  PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", wanted, given);
  return false;
}

// Asks for `key` and gives what was found: decoded, or the default.
PyObject* fetch(Cluster& cluster, std::string_view verb, bool with_cas, PyObject* object,
                PyObject* otherwise) noexcept {
  Key key;
  if (!cluster.rules.make(object, cluster.prefix, false, &key)) return nullptr;
  Fetched fetched;
  Fetch conversation(verb, with_cas, cluster.codec, &key, &fetched, kOnly);
  if (!cluster.ask(key, object, conversation)) return nullptr;
  if (!fetched.object) return Py_NewRef(otherwise);
  const std::uint64_t cas = fetched.cas;
  if (!with_cas) return cluster.codec.decode(object, &fetched);
  const Ref value = Ref::steal(cluster.codec.decode(object, &fetched));
  return value ? Py_BuildValue("OK", value.get(), static_cast<unsigned long long>(cas)) : nullptr;
}

// get(key, default)
PyObject* method_get(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (!expects(count, 2)) return nullptr;
  return fetch(cluster_of(self), "get", false, arguments[0], arguments[1]);
}

// gets(key, default) -> (value, cas)
PyObject* method_gets(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (!expects(count, 2)) return nullptr;
  return fetch(cluster_of(self), "gets", true, arguments[0], arguments[1]);
}

// gat(key, exptime, with_cas, default)
PyObject* method_gat(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  long long exptime = 0;
  if (!expects(count, 4) || !to_exptime(arguments[1], &exptime)) return nullptr;
  const bool with_cas = arguments[2] == Py_True;
  const std::string_view name = with_cas ? "gats " : "gat ";
  char verb[32];
  name.copy(verb, name.size());
  const char* end = std::to_chars(verb + name.size(), verb + sizeof verb, exptime).ptr;
  return fetch(cluster_of(self), {verb, static_cast<std::size_t>(end - verb)}, with_cas,
               arguments[0], arguments[3]);
}

// store(verb, key, value, exptime, flags, cas, compressed_from, noreply) -> int
PyObject* method_store(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  Verb verb{};
  long long exptime = 0;
  unsigned long long cas = 0;
  Cluster& cluster = cluster_of(self);
  if (!expects(count, 8) || !to_verb(arguments[0], Verb::kSet, Verb::kCas, &verb) ||
      !to_exptime(arguments[3], &exptime)) {
    return nullptr;
  }
  if (verb == Verb::kCas) {
    cas = PyLong_AsUnsignedLongLong(arguments[5]);
    if (cas == static_cast<unsigned long long>(-1) && PyErr_Occurred()) return nullptr;
  }
  const Py_ssize_t compressed_from = PyLong_AsSsize_t(arguments[6]);
  if (compressed_from == -1 && PyErr_Occurred()) return nullptr;
  const int noreply = PyObject_IsTrue(arguments[7]);
  Key key;
  Encoded value;
  if (noreply < 0 || !cluster.rules.make(arguments[1], cluster.prefix, false, &key) ||
      !encode_value(cluster, key, arguments[2], arguments[4], compressed_from, &value)) {
    return nullptr;
  }
  Verdict verdict;
  Store conversation(verb, &key, &value, &verdict, kOnly, exptime, cas, noreply != 0);
  if (!cluster.ask(key, arguments[1], conversation)) return nullptr;
  return PyLong_FromLong(static_cast<long>(noreply != 0 ? Kind::kStored : verdict.kind));
}

// change(verb, key, argument, noreply) -> int of incr and decr, bool of delete and touch,
// or None: not there
PyObject* method_change(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  Verb verb{};
  Cluster& cluster = cluster_of(self);
  if (!expects(count, 4) || !to_verb(arguments[0], Verb::kDelete, Verb::kDecr, &verb)) {
    return nullptr;
  }
  char text[32] = " ";
  std::size_t size = 0;
  if (verb == Verb::kTouch) {
    long long exptime = 0;
    if (!to_exptime(arguments[2], &exptime)) return nullptr;
    size =
        static_cast<std::size_t>(std::to_chars(text + 1, text + sizeof text, exptime).ptr - text);
  } else if (verb != Verb::kDelete) {
    const unsigned long long delta = PyLong_AsUnsignedLongLong(arguments[2]);
    if (delta == static_cast<unsigned long long>(-1) && PyErr_Occurred()) return nullptr;
    size = static_cast<std::size_t>(std::to_chars(text + 1, text + sizeof text, delta).ptr - text);
  }
  const int noreply = PyObject_IsTrue(arguments[3]);
  Key key;
  if (noreply < 0 || !cluster.rules.make(arguments[1], cluster.prefix, false, &key)) return nullptr;
  Verdict verdict;
  Change conversation(verb, {text, size}, &key, &verdict, kOnly, noreply != 0);
  if (!cluster.ask(key, arguments[1], conversation)) return nullptr;
  if (verdict.kind == Kind::kNumber) return PyLong_FromUnsignedLongLong(verdict.number);
  if (verb == Verb::kIncr || verb == Verb::kDecr) Py_RETURN_NONE;
  return PyBool_FromLong(noreply != 0 || verdict.kind != Kind::kNotFound);
}

}  // namespace

PyMethodDef single_key_methods[] = {
    {"get", as_method(method_get), METH_FASTCALL,
     "get(key, default): the value. Switches: always."},
    {"gets", as_method(method_gets), METH_FASTCALL,
     "gets(key, default): (value, cas). Switches: always."},
    {"gat", as_method(method_gat), METH_FASTCALL,
     "gat(key, exptime, with_cas, default): gets and touches. Switches: always."},
    {"store", as_method(method_store), METH_FASTCALL,
     "store(verb, key, value, exptime, flags, cas, compressed_from, noreply): what the server "
     "said, one of the numbers STORED, NOT_STORED, EXISTS, NOT_FOUND. Switches: always."},
    {"change", as_method(method_change), METH_FASTCALL,
     "change(verb, key, argument, noreply): delete and touch give whether the key was there, "
     "incr and decr the number, or None. Switches: always."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace evmemcached
