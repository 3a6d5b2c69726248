// Casts of PostgreSQL's binary format ("Binary" columns of an extended query).
#pragma once

#include "values/typecaster.h"

namespace psycoev::values {

struct BinaryCast {
  Cast cast;
  bool gives_atoms;
};

// The cast of a type in binary format: the value that its text would give, but for timestamptz,
// which is in UTC. Types without one give bytes, as the server sent them.
[[nodiscard]] BinaryCast binary_cast_of(Oid oid);

}  // namespace psycoev::values
