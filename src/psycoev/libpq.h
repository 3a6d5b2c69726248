// libpq's header, what its versions differ in, and owners for what it allocates.
#pragma once

#include <libpq-fe.h>

#include <memory>

// 15 is the oldest that this extension is built with; later additions by their feature macros:
// LIBPQ_HAS_CHUNK_MODE (17), LIBPQ_HAS_ASYNC_CANCEL (17), LIBPQ_HAS_SERVICEFILE (18).
#ifndef LIBPQ_HAS_PIPELINING
#error "psycoev needs libpq 14 or newer"
#endif

namespace psycoev {

struct ResultDeleter {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
// An owned PGresult.
using ResultPtr = std::unique_ptr<PGresult, ResultDeleter>;

struct LibpqMemoryDeleter {
  void operator()(void* memory) const noexcept { PQfreemem(memory); }
};
// Text that libpq has allocated.
using LibpqText = std::unique_ptr<char, LibpqMemoryDeleter>;

struct ConninfoDeleter {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};
using ConninfoPtr = std::unique_ptr<PQconninfoOption, ConninfoDeleter>;

}  // namespace psycoev
