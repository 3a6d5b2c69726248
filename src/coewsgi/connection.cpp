#include "connection.h"

#include <unistd.h>

#include "handle_type.h"
#include "input_type.h"
#include "runtime.h"
#include "server.h"
#include "start_response_type.h"

namespace coewsgi {

namespace {

// By the object that owns the descriptor.
void close_socket(PyObject* socket) noexcept {
  const SavedError saved;
  if (!Ref::steal(PyObject_CallMethodNoArgs(socket, strings.close))) PyErr_WriteUnraisable(socket);
}

}  // namespace

void Connection::release_kept() noexcept {
  memo.drop();
  if (input != nullptr) release_input(std::exchange(input, nullptr));
  if (start_response != nullptr) release_start_response(std::exchange(start_response, nullptr));
}

Connection::~Connection() {
  release_kept();
  if (handle != nullptr) handle->connection = nullptr;
  server.buffers().give(in);
  if (tls) {
    if (!taken_over) close_socket(tls.get());
  } else if (fd >= 0) {
    coev->forget_fd(fd);
    close(fd);
  }
}

}  // namespace coewsgi
