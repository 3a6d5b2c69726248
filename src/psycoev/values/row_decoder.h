// The rows of one result as Python objects: chooses the typecaster of each column once.
#pragma once

#include "cursor.h"

namespace psycoev::values {

class RowDecoder {
 public:
  RowDecoder() noexcept = default;
  RowDecoder(const RowDecoder&) = delete;
  RowDecoder& operator=(const RowDecoder&) = delete;
  ~RowDecoder();

  // Looks up each column's typecaster: cursor->string_types, connection->string_types, then the
  // public dict of the module (real look-ups, because programs change these dicts directly).
  // Called once, after execute(). False with an exception set.
  [[nodiscard]] bool prepare(CursorObject* cursor, const PGresult* result);

  // A new row: a tuple, or what cursor->row_factory makes, filled by item assignment. Null with
  // an exception set. The caller keeps `result` and this decoder alive over the call, because
  // typecasters and factories are Python code: another coroutine may execute on the cursor.
  // SWITCHES: only if such code does.
  [[nodiscard]] PyObject* build(CursorObject* cursor, const PGresult* result, int row);

 private:
  struct Column {
    // How to cast without a call of Python code; null: call `typecaster`.
    PyObject* (*cast)(const char* data, Py_ssize_t size, CursorObject* cursor) = nullptr;
    PyObject* typecaster = nullptr;  // owned
  };

  [[nodiscard]] bool choose(Column& column, CursorObject* cursor, Oid oid, bool binary);
  [[nodiscard]] PyObject* value(CursorObject* cursor, const PGresult* result, int row,
                                int index) const;
  // A row by cursor->row_factory.
  [[nodiscard]] PyObject* fill(CursorObject* cursor, const PGresult* result, int row);

  Column* columns_ = nullptr;  // one allocation of column_count_
  int column_count_ = 0;
  bool atoms_ = false;  // every cast gives objects that the garbage collector does not track
};

}  // namespace psycoev::values
