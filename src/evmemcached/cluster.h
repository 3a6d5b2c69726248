// A cluster: servers with one way to choose among them, and one way to write keys and
// values. It is the settings of a client; clients with equal settings share it.
//
// Nothing of it changes after it was made, so any coroutine and OS thread may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "codec.h"
#include "conversations.h"
#include "exchange.h"
#include "keys.h"
#include "router.h"

namespace evmemcached {

struct Cluster {
  Router router;
  Codec codec;
  KeyRules rules;
  std::string_view prefix;                           // before each key
  std::size_t largest_value = std::size_t{1} << 20;  // bytes; 0: without limit
  double timeout = 3;                                // seconds of an exchange
  unsigned attempts = 0;                             // failures in a row before a server is dead
  double retry_seconds = 0;                          // rest after a failure
  double dead_seconds = -1;                          // rest when it is dead; negative: never dead
  bool flushes_on_return = false;

  // Has `conversation` with the server of `key`; `object` is the key as its caller wrote
  // it. SWITCHES: always. ERRORS: false with an exception set.
  [[nodiscard]] bool ask(const Key& key, PyObject* object, Conversation& conversation) noexcept;
  // Has it with a server that the caller chose, dead or not.
  [[nodiscard]] bool ask_server(std::size_t index, Conversation& conversation) noexcept;

  // Notes what an exchange says about the health of its server.
  void note(const Exchange& exchange, std::int64_t now) noexcept;
  // Sets the exception for a fault. Always false.
  bool raise(const Exchange& exchange, std::size_t index) noexcept;
};

// Has one conversation with each server that some keys belong to, all at once. `Make` is
// called with a slice of the indexes of the keys and gives a new Conversation. Keys of
// servers that turn out to be dead are asked of others. What failed otherwise is
// appended as an exception to the list `failures`.
// SWITCHES: always. ERRORS: false with an exception set.
using MakeConversation = Conversation* (*)(void* context, Slice slice);
[[nodiscard]] bool ask_many(Cluster& cluster, const Key* keys, PyObject* const* objects,
                            std::size_t count, MakeConversation make, void* context,
                            PyObject* failures) noexcept;

}  // namespace evmemcached
