// A PGresult with rows and how to decode it, shared by the cursor and the fetches under way.
#pragma once

#include "values/row_decoder.h"

namespace psycoev::values {

// Counted, because a fetch may run Python code while another coroutine executes on the cursor.
class ResultSet {
 public:
  // OWNS: result. Null with MemoryError set; result is cleared then.
  [[nodiscard]] static ResultSet* create(PGresult* result);

  void retain() noexcept { ++references_; }
  void release() noexcept;

  [[nodiscard]] PGresult* get() const noexcept { return result_; }
  [[nodiscard]] int rows() const noexcept { return rows_; }
  [[nodiscard]] RowDecoder& decoder() noexcept { return decoder_; }

 private:
  explicit ResultSet(PGresult* result) noexcept : result_(result), rows_(PQntuples(result)) {}
  ~ResultSet() { PQclear(result_); }

  PGresult* result_;
  int rows_;
  long references_ = 1;
  RowDecoder decoder_;
};

}  // namespace psycoev::values
