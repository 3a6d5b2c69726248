// COPY (libpq, "Functions Associated with the COPY Command"): data between the server and a file.
#pragma once

#include <cstdint>

#include "cursor.h"
#include "libpq.h"

namespace psycoev::commands {

// A Python file of a COPY: bytes, or text in the connection's encoding.
struct CopyFile {
  PyObject* read = nullptr;  // the bound methods; borrowed of the caller
  PyObject* write = nullptr;
  bool is_text = false;
  Py_ssize_t block = 8192;  // characters or bytes asked of read() at once
};

// Runs a COPY statement to its end. An exception of read() ends it as an error of the server's,
// QueryCanceledError with that exception as its cause (but a TimeoutError is raised as it is); one
// of write() is raised as it is; both leave the connection usable. The final result, or an
// unsuccessful one, is in *result; false with an exception set. REQUIRES: the turn, which
// file.read() and write() do not get. SWITCHES: always.
[[nodiscard]] bool copy(ConnectionObject* connection, CursorObject* cursor, const char* sql,
                        const CopyFile& file, std::int64_t deadline, ResultPtr* result);

}  // namespace psycoev::commands
