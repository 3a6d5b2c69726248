// The encodings: PostgreSQL's client_encoding on one side, Python's codecs on the other.
#pragma once

#include "connection.h"

namespace psycoev::values {

// Sets connection->codec and connection->encoding for PostgreSQL's name of an encoding, in any
// spelling ("utf-8", "UNICODE", "EUC_JIS_2004": letters and digits count). False with
// OperationalError or LookupError set where Python has no such codec; nothing is changed then.
// SWITCHES: only if the codec is not imported yet.
[[nodiscard]] bool set_codec(ConnectionObject* connection, const char* postgresql_name);
// Drops what a codec owns.
void codec_clear(Codec& codec) noexcept;
// A copy that owns what it refers to: what outlives its connection decodes with one.
[[nodiscard]] Codec codec_copy(const Codec& codec) noexcept;

// Python's name of the connection's codec; a new reference.
[[nodiscard]] PyObject* python_encoding(const ConnectionObject* connection);

// Adds the dict `encodings`, PostgreSQL's name -> Python's, which set_codec() looks names up in.
[[nodiscard]] bool add_encodings(PyObject* module);

// bytes of a str in the connection's encoding (UTF-8 where connection is null); null with
// UnicodeEncodeError set.
// SWITCHES: never for UTF-8, ASCII and Latin-1; else Python code runs.
[[nodiscard]] PyObject* encode(PyObject* text, const ConnectionObject* connection);

// str of text that the server sent.
[[nodiscard]] PyObject* decode(const char* text, Py_ssize_t size,
                               const ConnectionObject* connection);
[[nodiscard]] PyObject* decode(const char* text, Py_ssize_t size, const Codec& codec);
// For messages: undecodable bytes become U+FFFD, never an exception but MemoryError.
[[nodiscard]] PyObject* decode_leniently(const char* text, Py_ssize_t size,
                                         const ConnectionObject* connection);
[[nodiscard]] PyObject* decode_leniently(const char* text, Py_ssize_t size, const Codec& codec);

}  // namespace psycoev::values
