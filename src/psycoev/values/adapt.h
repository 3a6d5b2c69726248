// From Python objects to SQL text.
#pragma once

#include "connection.h"

namespace psycoev::values {

// The literal of `object` for `connection`, as bytes: adapt(), prepare(connection), getquoted().
// Where the entry in `adapters` is still our built-in one, the literal is written without an
// adapter object, with identical bytes. `connection` may be null (no escaping by the server's
// settings). Null with an exception set.
// SWITCHES: only if an adapter of the program does.
[[nodiscard]] PyObject* adapt_to_sql(PyObject* object, ConnectionObject* connection);

// extensions.adapt(object, protocol, alternate): a new adapter object.
[[nodiscard]] PyObject* adapt(PyObject* object, PyObject* protocol, PyObject* alternate);

// The statement with its parameters merged, as bytes in the connection's encoding. `query` is
// str (then encoded) or bytes; `parameters` a sequence or a mapping, never None. Errors have
// psycopg2's texts: "not all arguments converted during string formatting", ...
// BORROWS: query and parameters, which the caller owns over the call.
// SWITCHES: only if an adapter or the mapping of the program does.
[[nodiscard]] PyObject* interpolate(PyObject* query, PyObject* parameters,
                                    ConnectionObject* connection);

// The parameters of the extended protocol: the statement with $1, $2 ... for its placeholders.
// Returned as a tuple (bytes of the statement, list of parameters in the order of $n), where a
// name used twice has one number. Null with an exception set.
[[nodiscard]] PyObject* to_numbered(PyObject* query, PyObject* parameters,
                                    ConnectionObject* connection);

// One parameter of the extended protocol in text format: bytes, or None for NULL. What a literal
// would say without its quotes; ProgrammingError for objects that have no such form.
[[nodiscard]] PyObject* to_parameter(PyObject* object, ConnectionObject* connection);

// `text` (of the connection's encoding) as a quoted SQL literal or identifier, bytes.
[[nodiscard]] PyObject* quote_literal(const char* text, Py_ssize_t size,
                                      ConnectionObject* connection);
[[nodiscard]] PyObject* quote_identifier(const char* text, Py_ssize_t size,
                                         ConnectionObject* connection);

}  // namespace psycoev::values
