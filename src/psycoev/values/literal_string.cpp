#include <cstring>

#include "values/encoding.h"
#include "values/literals.h"

namespace psycoev::values {
namespace {

bool has_zero(const char* text, size_t size) { return std::memchr(text, 0, size) != nullptr; }

bool refuse_zero() {
  PyErr_SetString(PyExc_ValueError, "A string literal cannot contain NUL (0x00) characters.");
  return false;
}

// Doubles quotes, and backslashes if asked; every byte below 128 is a character of its own.
void append_doubled(const char* text, size_t size, bool backslashes, Buffer& out) {
  char* to = out.reserve(2 * size + 2);
  if (to == nullptr) return;
  char* const start = to;
  *to++ = '\'';
  for (const char* end = text + size; text < end; ++text) {
    if (*text == '\'' || (backslashes && *text == '\\')) *to++ = *text;
    *to++ = *text;
  }
  *to++ = '\'';
  out.commit(static_cast<size_t>(to - start));
}

// libpq knows the multi-byte encodings, and whether the server takes a backslash for itself.
void append_escaped_by_libpq(const char* text, size_t size, PGconn* pg, Buffer& out) {
  char* to = out.reserve(2 * size + 3);
  if (to == nullptr) return;
  *to = '\'';
  // Bytes that are not of the encoding come out marked: the server refuses them.
  const size_t written = PQescapeStringConn(pg, to + 1, text, size, nullptr);
  to[written + 1] = '\'';
  out.commit(written + 2);
}

// bytes of a str in the encoding of the scope.
PyObject* encode_for(PyObject* text, const LiteralScope& scope) {
  if (scope.connection != nullptr) return encode(text, scope.connection);
  if (scope.encoding == nullptr) return PyUnicode_AsLatin1String(text);
  return PyUnicode_AsEncodedString(text, scope.encoding, nullptr);
}

// Hexadecimal as the server reads it since 9.0; the backslash once or, where it escapes, twice.
void append_hex(const unsigned char* data, size_t size, bool escape, Buffer& out) {
  static const char digits[] = "0123456789abcdef";
  out.append(escape ? "\\\\x" : "\\x");
  char* to = out.reserve(2 * size);
  if (to == nullptr) return;
  for (size_t i = 0; i < size; ++i) {
    *to++ = digits[data[i] >> 4];
    *to++ = digits[data[i] & 15];
  }
  out.commit(2 * size);
}

// The older format, which any server reads: there is no connection to ask.
void append_octal(const unsigned char* data, size_t size, Buffer& out) {
  char* const start = out.reserve(4 * size);
  if (start == nullptr) return;
  char* to = start;
  for (const unsigned char* end = data + size; data < end; ++data) {
    if (*data < 0x20 || *data > 0x7e) {
      *to++ = '\\';
      *to++ = static_cast<char>('0' + (*data >> 6));
      *to++ = static_cast<char>('0' + ((*data >> 3) & 7));
      *to++ = static_cast<char>('0' + (*data & 7));
    } else {
      if (*data == '\'' || *data == '\\') *to++ = static_cast<char>(*data);
      *to++ = static_cast<char>(*data);
    }
  }
  out.commit(static_cast<size_t>(to - start));
}

bool backslash_escapes(const ConnectionObject* connection) {
  if (connection->escape_literals) return true;
  if (connection->pg == nullptr) return false;
  const char* setting = PQparameterStatus(connection->pg, "standard_conforming_strings");
  return setting != nullptr && std::strcmp(setting, "off") == 0;
}

}  // namespace

bool write_quoted(const char* text, size_t size, ConnectionObject* connection, Buffer& out) {
  if (has_zero(text, size)) return refuse_zero();
  const bool single_bytes = connection == nullptr || connection->codec.kind != Codec::Kind::kOther;
  PGconn* pg = connection == nullptr ? nullptr : connection->pg;
  if (connection != nullptr && connection->escape_literals) out.push_back('E');
  if (pg == nullptr || (single_bytes && std::memchr(text, '\\', size) == nullptr)) {
    append_doubled(text, size, false, out);
  } else if (single_bytes && connection->escape_literals) {
    append_doubled(text, size, true, out);
  } else {
    append_escaped_by_libpq(text, size, pg, out);
  }
  return true;
}

bool write_string(PyObject* value, const LiteralScope& scope, Buffer& out) {
  if (PyUnicode_Check(value)) {
    if (PyUnicode_IS_ASCII(value) &&
        (scope.connection == nullptr ? scope.encoding == nullptr
                                     : scope.connection->codec.kind != Codec::Kind::kOther)) {
      return write_quoted(static_cast<const char*>(PyUnicode_DATA(value)),
                          static_cast<size_t>(PyUnicode_GET_LENGTH(value)), scope.connection, out);
    }
    const Ref bytes(encode_for(value, scope));
    return bytes && write_string(bytes.get(), scope, out);
  }
  if (PyBytes_Check(value)) {
    const auto size = static_cast<size_t>(PyBytes_GET_SIZE(value));
    const char* text = PyBytes_AS_STRING(value);
    return write_quoted(text, size, scope.connection, out);
  }
  PyErr_SetString(PyExc_TypeError, "can't quote non-string object");
  return false;
}

bool write_binary(PyObject* value, const LiteralScope& scope, Buffer& out) {
  if (value == Py_None) {
    out.append("NULL");
    return true;
  }
  if (!PyObject_CheckBuffer(value)) {
    PyErr_Format(PyExc_TypeError, "can't escape %s to binary", Py_TYPE(value)->tp_name);
    return false;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(value, &view, PyBUF_CONTIG_RO) < 0) return false;
  const auto* data = static_cast<const unsigned char*>(view.buf);
  const auto size = static_cast<size_t>(view.len);
  if (scope.connection == nullptr) {
    out.push_back('\'');
    append_octal(data, size, out);
  } else {
    out.append(scope.connection->escape_literals ? "E'" : "'");
    append_hex(data, size, backslash_escapes(scope.connection), out);
  }
  out.append("'::bytea");
  PyBuffer_Release(&view);
  return true;
}

}  // namespace psycoev::values
