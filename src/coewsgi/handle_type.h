// What an application may do with its connection besides WSGI: the callables
// wsgi.early_hints and coewsgi.client_disconnected are methods of one object.
#pragma once

#include "connection.h"
#include "ref.h"

namespace coewsgi {

struct ConnectionHandle {
  PyObject_HEAD Connection* connection;  // nullptr once it has ended
};

bool ready_handle_type() noexcept;

// Gives the connection its two bound methods, once. false: an exception is set.
bool make_handle(Connection& connection) noexcept;

}  // namespace coewsgi
