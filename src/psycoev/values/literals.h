// SQL literals of Python objects, written into a buffer.
//
// One writer a kind of object. The adapter classes (Int, QuotedString, ...) call it in their
// getquoted(), interpolation calls it without an adapter object: so both give the same bytes.
#pragma once

#include "connection.h"
#include "values/buffer.h"

namespace psycoev::values {

// For whom a literal is written.
struct LiteralScope {
  ConnectionObject* connection = nullptr;  // null: quoting by no server's settings
  const char* encoding = nullptr;          // Python's codec where connection is null; null: Latin-1
};

// False with an exception set; the buffer then holds rubbish.
using WriteLiteral = bool (*)(PyObject* value, const LiteralScope& scope, Buffer& out);

[[nodiscard]] bool write_as_is(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_boolean(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_integer(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_float(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_decimal(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_string(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_binary(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_list(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_date(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_time(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_timestamp(PyObject* value, const LiteralScope& scope, Buffer& out);
[[nodiscard]] bool write_interval(PyObject* value, const LiteralScope& scope, Buffer& out);

// Text of the connection's encoding between quotes.
[[nodiscard]] bool write_quoted(const char* text, size_t size, ConnectionObject* connection,
                                Buffer& out);

[[nodiscard]] bool prepare_datetime_literals();

}  // namespace psycoev::values
