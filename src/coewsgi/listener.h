// A listener: a listening socket, what its requests have in common, and its accept loop.
#pragma once

#include "ref.h"

namespace coewsgi {

class Server;

struct Listener {
  Listener(Server& of, PyObject* listening) noexcept : server(of), socket(Ref::borrow(listening)) {}

  Server& server;  // owns this
  Ref socket;
  int fd = -1;      // of `socket`
  Ref environ;      // the template
  Ref tls;          // nullptr: plain
  Ref tls_environ;  // nullptr: none
  bool proxy_protocol = false;
  Ref coroutine;  // the accept loop, while it runs
};

// Begins to accept, in a new coroutine, until the server drains. What has connected until
// then is accepted. false: an exception is set.
bool start_accepting(Listener& listener) noexcept;

// Ends whatever the accept loop waits for.
void wake(Listener& listener) noexcept;

}  // namespace coewsgi
