// wsgi.input: the request's body, read from the connection as the application asks.
//
// It ends where the body ends, whatever else the client has sent (wsgi.input_terminated).
// A body whose framing breaks, that comes too slowly or grows too large raises
// ClientDisconnected, now and on every later read; `failure` is the status for it.
#pragma once

#include <string_view>

#include "chunks.h"
#include "connection.h"
#include "ref.h"
#include "request_head.h"

namespace coewsgi {

struct Input {
  PyObject_HEAD Connection* connection;  // nullptr once the request is over
  std::int64_t left;                     // of Content-Length; unused when chunked
  std::int64_t received;                 // decoded bytes
  Nanoseconds waited;                    // for bytes, in all
  std::string_view pending;              // decoded, not handed out; in the connection's buffer
  int failure;                           // a status; 0: none
  bool chunked;
  bool ended;  // all of the body was taken from the connection
  bool expects_continue;
  bool continue_sent;
  bool receiving;  // one coroutine waits for bytes of this body
  ChunkDecoder chunks;
  PyObject* trailers;  // a list for environ, filled at the end; nullptr until asked for
};

bool ready_input_type() noexcept;

// The connection's, for the next request; borrowed. nullptr with an exception set.
Input* take_input(Connection& connection, const RequestHead& head) noexcept;
// The connection lets go of it.
void release_input(Input* input) noexcept;

// Makes `pending` not empty. 1: done; 0: the body has ended; -1: an exception is set.
// SWITCHES: only if nothing is received yet.
int fill_pending(Input& input) noexcept;

// The whole body in a file object, which spills to the disk above `memory_bytes`. New
// reference; nullptr with an exception set.
// SWITCHES: usually.
PyObject* spill_input(Input& input, std::int64_t memory_bytes) noexcept;

// Reads and drops what the application left, at most 64 KiB. Whether the connection now
// stands at the begin of a next request. An exception that is set then is a kill.
// SWITCHES: usually.
bool drain_input(Input& input) noexcept;

}  // namespace coewsgi
