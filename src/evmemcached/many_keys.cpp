// The methods of a cluster about many keys at once.
#include <charconv>
#include <memory>
#include <new>
#include <vector>

#include "cluster_type.h"
#include "errors.h"

namespace evmemcached {
namespace {

// The keys of an operation, as they were given and as they are written.
struct Keys {
  Ref objects;  // a tuple, which nobody else can change
  std::vector<PyObject*> items;
  std::vector<Key> keys;

  [[nodiscard]] std::size_t size() const noexcept { return items.size(); }
};

bool take_keys(const Cluster& cluster, PyObject* iterable, std::string_view prefix,
               Keys* keys) noexcept {
  keys->objects = Ref::steal(PySequence_Tuple(iterable));
  if (!keys->objects) return false;
  const auto count = static_cast<std::size_t>(PyTuple_GET_SIZE(keys->objects.get()));
  keys->keys = std::vector<Key>(count);
  keys->items.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    PyObject* item = PyTuple_GET_ITEM(keys->objects.get(), static_cast<Py_ssize_t>(i));
    keys->items.push_back(item);
    if (!cluster.rules.make(item, prefix, true, &keys->keys[i])) return false;
  }
  return true;
}

// What stands before each key: the cluster's prefix, or the call's own.
bool take_prefix(const Cluster& cluster, PyObject* object, std::string_view* prefix) noexcept {
  if (object == Py_None) {
    *prefix = cluster.prefix;
    return true;
  }
  if (!PyBytes_Check(object)) {
    PyErr_SetString(PyExc_TypeError, "a prefix must be bytes");
    return false;
  }
  *prefix = {PyBytes_AS_STRING(object), static_cast<std::size_t>(Py_SIZE(object))};
  return true;
}

// A callable as ask_many() takes it.
template <typename Make>
bool ask_all(Cluster& cluster, const Keys& keys, Make& make, PyObject* failures) noexcept {
  return ask_many(
      cluster, keys.keys.data(), keys.items.data(), keys.size(),
      [](void* context, Slice slice) -> Conversation* {
        return (*static_cast<Make*>(context))(slice);
      },
      &make, failures);
}

PyObject* pair(const Ref& first, const Ref& second) noexcept {
  return first && second ? PyTuple_Pack(2, first.get(), second.get()) : nullptr;
}

// --- get_many ----------------------------------------------------------------------------

PyObject* found_values(const Cluster& cluster, const Keys& keys, std::vector<Fetched>& fetched,
                       bool with_cas) noexcept {
  Ref values = Ref::steal(PyDict_New());
  for (std::size_t i = 0; i < keys.size() && values; ++i) {
    if (!fetched[i].object) continue;
    const std::uint64_t cas = fetched[i].cas;
    Ref value = Ref::steal(cluster.codec.decode(keys.items[i], &fetched[i]));
    if (value && with_cas) {
      value = Ref::steal(Py_BuildValue("OK", value.get(), static_cast<unsigned long long>(cas)));
    }
    if (!value || PyDict_SetItem(values.get(), keys.items[i], value.get()) < 0) return nullptr;
  }
  return values.release();
}

// get_many(keys, prefix, with_cas, exptime) -> (values, failures)
PyObject* method_get_many(PyObject* self, PyObject* arguments) {
  PyObject *iterable = nullptr, *prefix_object = nullptr, *exptime_object = nullptr;
  int with_cas = 0;
  std::string_view prefix;
  Cluster& cluster = cluster_of(self);
  if (!PyArg_ParseTuple(arguments, "OOpO", &iterable, &prefix_object, &with_cas, &exptime_object) ||
      !take_prefix(cluster, prefix_object, &prefix)) {
    return nullptr;
  }
  char verb[32];
  std::string_view name = with_cas != 0 ? "gets" : "get";
  if (exptime_object != Py_None) {
    long long exptime = 0;
    if (!to_exptime(exptime_object, &exptime)) return nullptr;
    name = with_cas != 0 ? "gats " : "gat ";
    name.copy(verb, name.size());
    const char* end = std::to_chars(verb + name.size(), verb + sizeof verb, exptime).ptr;
    name = {verb, static_cast<std::size_t>(end - verb)};
  }
  Keys keys;
  const Ref failures = Ref::steal(PyList_New(0));
  if (!failures || !take_keys(cluster, iterable, prefix, &keys)) return nullptr;
  std::vector<Fetched> fetched(keys.size());
  auto make = [&](Slice slice) -> Conversation* {
    return new (std::nothrow)
        Fetch(name, with_cas != 0, cluster.codec, keys.keys.data(), fetched.data(), slice);
  };
  if (!ask_all(cluster, keys, make, failures.get())) return nullptr;
  return pair(Ref::steal(found_values(cluster, keys, fetched, with_cas != 0)), failures);
}

// --- store_many and delete_many ----------------------------------------------------------

// The keys whose verdict is not `good`.
PyObject* failed_keys(const Keys& keys, const std::vector<Verdict>& verdicts, Kind good,
                      Kind also_good) noexcept {
  Ref failed = Ref::steal(PyList_New(0));
  for (std::size_t i = 0; i < keys.size() && failed; ++i) {
    if (verdicts[i].kind == good || verdicts[i].kind == also_good) continue;
    if (PyList_Append(failed.get(), keys.items[i]) < 0) return nullptr;
  }
  return failed.release();
}

// Encodes the values. One that is too long fails alone: it is not among `sent`.
bool encode_values(const Cluster& cluster, const Keys& keys, PyObject* values, PyObject* flags,
                   Py_ssize_t compressed_from, std::vector<Encoded>* encoded, Keys* sent,
                   PyObject* failed, PyObject* failures) noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Encoded value;
    PyObject* object = PyTuple_GET_ITEM(values, static_cast<Py_ssize_t>(i));
    if (encode_value(cluster, keys.keys[i], object, flags, compressed_from, &value)) {
      encoded->push_back(std::move(value));
      sent->items.push_back(keys.items[i]);
      Key key = {keys.keys[i].prefix, keys.keys[i].text, Ref::borrow(keys.keys[i].owner.get()),
                 keys.keys[i].hashed, keys.keys[i].hash};
      sent->keys.push_back(std::move(key));
      continue;
    }
    if (!PyErr_ExceptionMatches(errors::value_length)) return false;
    PyObject *type = nullptr, *exception = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    const Ref keep = Ref::steal(exception);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (PyList_Append(failures, keep.get()) < 0 || PyList_Append(failed, keys.items[i]) < 0) {
      return false;
    }
  }
  return true;
}

// store_many(keys, values, prefix, exptime, flags, compressed_from, noreply)
//     -> (keys that are not stored, failures)
PyObject* method_store_many(PyObject* self, PyObject* arguments) {
  PyObject *iterable = nullptr, *values = nullptr, *prefix_object = nullptr;
  PyObject *exptime_object = nullptr, *flags = nullptr;
  Py_ssize_t compressed_from = 0;
  int noreply = 0;
  long long exptime = 0;
  std::string_view prefix;
  Cluster& cluster = cluster_of(self);
  if (!PyArg_ParseTuple(arguments, "OO!OOOnp", &iterable, &PyTuple_Type, &values, &prefix_object,
                        &exptime_object, &flags, &compressed_from, &noreply) ||
      !take_prefix(cluster, prefix_object, &prefix) || !to_exptime(exptime_object, &exptime)) {
    return nullptr;
  }
  Keys keys, sent;
  std::vector<Encoded> encoded;
  const Ref failures = Ref::steal(PyList_New(0));
  const Ref too_long = Ref::steal(PyList_New(0));
  if (!failures || !too_long || !take_keys(cluster, iterable, prefix, &keys)) return nullptr;
  if (static_cast<Py_ssize_t>(keys.size()) != PyTuple_GET_SIZE(values)) {
    PyErr_SetString(PyExc_ValueError, "each key needs a value");
    return nullptr;
  }
  if (!encode_values(cluster, keys, values, flags, compressed_from, &encoded, &sent, too_long.get(),
                     failures.get())) {
    return nullptr;
  }
  std::vector<Verdict> verdicts(sent.size());
  auto make = [&](Slice slice) -> Conversation* {
    // Nobody will say it; a server that is not there becomes a failure below.
    if (noreply != 0) {
      for (const std::uint32_t item : slice) verdicts[item].kind = Kind::kStored;
    }
    return new (std::nothrow) Store(Verb::kSet, sent.keys.data(), encoded.data(), verdicts.data(),
                                    slice, exptime, 0, noreply != 0);
  };
  if (!ask_all(cluster, sent, make, failures.get())) return nullptr;
  Ref failed = Ref::steal(failed_keys(sent, verdicts, Kind::kStored, Kind::kStored));
  if (!failed) return nullptr;
  const Ref all = Ref::steal(PySequence_InPlaceConcat(failed.get(), too_long.get()));
  return pair(all, failures);
}

// delete_many(keys, prefix, noreply) -> (keys that nobody was asked for, failures)
PyObject* method_delete_many(PyObject* self, PyObject* arguments) {
  PyObject *iterable = nullptr, *prefix_object = nullptr;
  int noreply = 0;
  std::string_view prefix;
  Cluster& cluster = cluster_of(self);
  Keys keys;
  const Ref failures = Ref::steal(PyList_New(0));
  if (!failures || !PyArg_ParseTuple(arguments, "OOp", &iterable, &prefix_object, &noreply) ||
      !take_prefix(cluster, prefix_object, &prefix) ||
      !take_keys(cluster, iterable, prefix, &keys)) {
    return nullptr;
  }
  std::vector<Verdict> verdicts(keys.size());
  auto make = [&](Slice slice) -> Conversation* {
    return new (std::nothrow)
        Change(Verb::kDelete, {}, keys.keys.data(), verdicts.data(), slice, noreply != 0);
  };
  if (!ask_all(cluster, keys, make, failures.get())) return nullptr;
  Ref missing = Ref::steal(
      noreply != 0 ? PyList_New(0) : failed_keys(keys, verdicts, Kind::kDeleted, Kind::kDeleted));
  return pair(missing, failures);
}

// --- meta --------------------------------------------------------------------------------

// A command is a tuple (verb, key, flags, value or None), all but the key bytes.
bool take_command(PyObject* tuple, MetaCommand* command, PyObject** key) noexcept {
  const char *verb = nullptr, *flags = nullptr;
  Py_ssize_t verb_size = 0, flags_size = 0;
  PyObject* value = nullptr;
  if (!PyTuple_Check(tuple)) {
    PyErr_SetString(PyExc_TypeError, "a command must be a tuple");
    return false;
  }
  if (!PyArg_ParseTuple(tuple, "y#Oy#O", &verb, &verb_size, key, &flags, &flags_size, &value)) {
    return false;
  }
  command->owner = Ref::borrow(tuple);
  command->verb = {verb, static_cast<std::size_t>(verb_size)};
  command->flags = {flags, static_cast<std::size_t>(flags_size)};
  if (value == Py_None) return true;
  if (!PyBytes_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "a value of the meta protocol must be bytes");
    return false;
  }
  command->value = {PyBytes_AS_STRING(value), static_cast<std::size_t>(Py_SIZE(value))};
  command->has_value = true;
  return true;
}

PyObject* meta_replies(std::vector<MetaCommand>& commands) noexcept {
  Ref replies = Ref::steal(PyList_New(static_cast<Py_ssize_t>(commands.size())));
  for (std::size_t i = 0; i < commands.size() && replies; ++i) {
    MetaCommand& command = commands[i];
    PyObject* reply = nullptr;
    if (!command.answered) {
      reply = Py_NewRef(Py_None);
    } else {
      PyObject* value = command.reply_value ? command.reply_value.get() : Py_None;
      reply =
          Py_BuildValue("(s#OO)", command.status, Py_ssize_t{2}, command.reply_flags.get(), value);
    }
    if (reply == nullptr) return nullptr;
    PyList_SET_ITEM(replies.get(), static_cast<Py_ssize_t>(i), reply);
  }
  return replies.release();
}

// meta(commands, repeatable) -> (replies, failures): each reply is a tuple (status, flags,
// value or None), or None
PyObject* method_meta(PyObject* self, PyObject* arguments) {
  PyObject* iterable = nullptr;
  int repeatable = 0;
  Cluster& cluster = cluster_of(self);
  if (!PyArg_ParseTuple(arguments, "Op", &iterable, &repeatable)) return nullptr;
  const Ref tuples = Ref::steal(PySequence_Tuple(iterable));
  const Ref failures = Ref::steal(PyList_New(0));
  if (!tuples || !failures) return nullptr;
  const auto count = static_cast<std::size_t>(PyTuple_GET_SIZE(tuples.get()));
  std::vector<MetaCommand> commands(count);
  Keys keys;
  keys.keys = std::vector<Key>(count);
  for (std::size_t i = 0; i < count; ++i) {
    PyObject* key = nullptr;
    PyObject* tuple = PyTuple_GET_ITEM(tuples.get(), static_cast<Py_ssize_t>(i));
    if (!take_command(tuple, &commands[i], &key)) return nullptr;
    if (!cluster.rules.make(key, cluster.prefix, false, &keys.keys[i])) return nullptr;
    keys.items.push_back(key);
  }
  auto make = [&](Slice slice) -> Conversation* {
    return new (std::nothrow) Meta(commands.data(), keys.keys.data(), slice, repeatable != 0);
  };
  if (!ask_all(cluster, keys, make, failures.get())) return nullptr;
  return pair(Ref::steal(meta_replies(commands)), failures);
}

}  // namespace

PyMethodDef many_keys_methods[] = {
    {"get_many", method_get_many, METH_VARARGS,
     "get_many(keys, prefix, with_cas, exptime): a dict of what was found, and a list of the "
     "exceptions of servers that failed. Switches: always."},
    {"store_many", method_store_many, METH_VARARGS,
     "store_many(keys, values, prefix, exptime, flags, compressed_from, noreply): the keys that "
     "are not stored, and a list of exceptions. Switches: always."},
    {"delete_many", method_delete_many, METH_VARARGS,
     "delete_many(keys, prefix, noreply): the keys that were not there, and a list of "
     "exceptions. Switches: always."},
    {"meta", method_meta, METH_VARARGS,
     "meta(commands, repeatable): commands are (verb, key, flags, value), replies (status, "
     "flags, value); and a list of exceptions. Switches: always."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace evmemcached
