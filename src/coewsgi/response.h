// The response to one request: its head, its framing, and what of it was sent.
//
// Whatever an application does, the connection never desynchronises: a body longer than
// its Content-Length is cut, after a shorter one the connection ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "connection.h"
#include "ref.h"
#include "transport.h"

namespace coewsgi {

struct Response {
  Connection* connection = nullptr;  // nullptr once the request is over
  std::string head;                  // status line and fields, ready to be sent
  int status = 0;
  int minor = 1;         // of the request's HTTP/1.x
  bool to_head = false;  // the request was HEAD
  bool keep_alive = false;
  bool started = false;  // start_response was called
  bool head_sent = false;
  bool chunked = false;
  bool has_no_body = false;
  bool has_date = false;
  bool has_server = false;
  bool was_cut = false;
  std::int64_t length = -1;  // Content-Length; -1: none
  std::int64_t written = 0;
  // For the access log, and only if there is one.
  Ref status_object;
  Ref fields;

  void clear() noexcept;
  // What start_response() was given. false: an exception is set.
  bool start(PyObject* status_line, PyObject* field_list) noexcept;
};

// One (name, value) of an application as a line behind `head`: no line break, no field that
// belongs to the connection, latin-1. `response`, if not nullptr, notes what it means.
// false: an exception is set.
bool append_field(std::string& head, PyObject* field, Response* response) noexcept;

// A part of the body; the head goes with the first. `is_last`: it is all of the body.
// SWITCHES: only if the kernel's buffer is full.
Sent send_body(Response& response, std::string_view data, bool is_last) noexcept;

// Parts that are all of the body, in one system call where there is room.
Sent send_whole(Response& response, PyObject* tuple) noexcept;

// The end of the body: the head if nothing was sent yet, the last chunk.
Sent finish(Response& response) noexcept;

// The head alone, for a body of `length` bytes that is sent by other means.
Sent send_head(Response& response, std::int64_t length) noexcept;

// A part of the body as the application gave it. nullptr data: an exception is set.
bool as_bytes(PyObject* object, std::string_view* data) noexcept;

}  // namespace coewsgi
