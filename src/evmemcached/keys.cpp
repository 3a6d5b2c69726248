#include "keys.h"

#include "errors.h"
#include "protocol.h"

namespace evmemcached {
namespace {

// Takes the hash off a key that is (hash, key).
bool split(PyObject** object, Key* key) noexcept {
  if (!PyTuple_Check(*object)) return true;
  if (PyTuple_GET_SIZE(*object) != 2) {
    PyErr_SetString(errors::key_type, "a key that is a tuple must be (hash, key)");
    return false;
  }
  key->hash = PyLong_AsLongLong(PyTuple_GET_ITEM(*object, 0));
  if (key->hash == -1 && PyErr_Occurred()) return false;
  key->hashed = true;
  *object = PyTuple_GET_ITEM(*object, 1);
  return true;
}

bool view(Ref object, bool unicode, Key* key) noexcept {
  if (PyBytes_Check(object.get())) {
    key->text = {PyBytes_AS_STRING(object.get()), static_cast<std::size_t>(Py_SIZE(object.get()))};
  } else {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(object.get(), &size);
    if (utf8 == nullptr) return false;
    if (!unicode && !PyUnicode_IS_ASCII(object.get())) {
      PyErr_Format(errors::key_character, "Non-ASCII key: %R", object.get());
      return false;
    }
    key->text = {utf8, static_cast<std::size_t>(size)};
  }
  key->owner = std::move(object);
  return true;
}

}  // namespace

bool KeyRules::make(PyObject* object, std::string_view prefix, bool any, Key* key) const noexcept {
  if (!split(&object, key)) return false;
  Ref text =
      encoder == nullptr ? Ref::borrow(object) : Ref::steal(PyObject_CallOneArg(encoder, object));
  if (!text) return false;
  if (text.get() == Py_None) {
    PyErr_SetString(errors::key_none, "Key is None");
    return false;
  }
  if (!PyBytes_Check(text.get()) && !PyUnicode_Check(text.get())) {
    if (!any) {
      PyErr_SetString(errors::key_type, "Key must be a binary string");
      return false;
    }
    text = Ref::steal(PyObject_Str(text.get()));
    if (!text) return false;
  }
  key->prefix = prefix;
  if (!view(std::move(text), unicode, key)) return false;
  if (key->size() == 0) {
    PyErr_SetString(errors::key_none, "Key is empty");
    return false;
  }
  if (longest != 0 && key->size() > longest) {
    PyErr_Format(errors::key_length, "Key length is > %zu", longest);
    return false;
  }
  if ((!key->text.empty() && !is_clean_key(key->text, strict)) ||
      (!prefix.empty() && !is_clean_key(prefix, strict))) {
    PyErr_Format(errors::key_character, "Control/space characters not allowed (key=%R)",
                 key->owner.get());
    return false;
  }
  return true;
}

}  // namespace evmemcached
