#include "errors.h"

namespace evmemcached::errors {

PyObject *connection, *timeout, *closed, *pool, *no_server, *resting, *server, *client, *command,
    *unknown, *key, *key_length, *key_character, *key_none, *key_type, *illegal_input,
    *value_length;

bool load() noexcept {
  const struct {
    const char* name;
    PyObject** place;
  } classes[] = {
      {"MemcacheConnectionError", &connection},
      {"MemcacheTimeoutError", &timeout},
      {"MemcacheUnexpectedCloseError", &closed},
      {"MemcachePoolError", &pool},
      {"MemcacheNoServerError", &no_server},
      {"MemcacheServerRestingError", &resting},
      {"MemcacheServerError", &server},
      {"MemcacheClientError", &client},
      {"MemcacheUnknownCommandError", &command},
      {"MemcacheUnknownError", &unknown},
      {"MemcachedKeyError", &key},
      {"MemcachedKeyLengthError", &key_length},
      {"MemcachedKeyCharacterError", &key_character},
      {"MemcachedKeyNoneError", &key_none},
      {"MemcachedKeyTypeError", &key_type},
      {"MemcacheIllegalInputError", &illegal_input},
      {"MemcacheValueLengthError", &value_length},
  };
  const Ref module = Ref::steal(PyImport_ImportModule("evmemcached._exceptions"));
  if (!module) return false;
  for (const auto& item : classes) {
    *item.place = PyObject_GetAttrString(module.get(), item.name);  // kept for good
    if (*item.place == nullptr) return false;
  }
  return true;
}

}  // namespace evmemcached::errors
