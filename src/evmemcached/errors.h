// The exceptions of evmemcached, which are written in Python, and how they are raised.
#pragma once

#include "ref.h"

namespace evmemcached::errors {

// Borrowed; set by load().
extern PyObject* connection;  // MemcacheConnectionError, an OSError
extern PyObject* timeout;     // its subclass, a TimeoutError
extern PyObject* closed;      // MemcacheUnexpectedCloseError
extern PyObject* pool;        // MemcachePoolError: every connection is in use
extern PyObject* no_server;   // MemcacheNoServerError
extern PyObject* resting;     // MemcacheServerRestingError
extern PyObject* server;      // MemcacheServerError
extern PyObject* client;      // MemcacheClientError
extern PyObject* command;     // MemcacheUnknownCommandError
extern PyObject* unknown;     // MemcacheUnknownError: a reply that nobody can read
extern PyObject* key;         // MemcachedKeyError and its kinds
extern PyObject* key_length;
extern PyObject* key_character;
extern PyObject* key_none;
extern PyObject* key_type;
extern PyObject* illegal_input;  // MemcacheIllegalInputError
extern PyObject* value_length;   // MemcacheValueLengthError

// ERRORS: false with an exception set.
[[nodiscard]] bool load() noexcept;

}  // namespace evmemcached::errors
