#include "types/cursor_result.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "commands/run.h"
#include "values/encoding.h"
#include "values/result_set.h"

namespace psycoev {

namespace values {

ResultSet* ResultSet::create(PGresult* result) {
  auto* set = new (std::nothrow) ResultSet(result);
  if (set == nullptr) {
    PQclear(result);
    PyErr_NoMemory();
  }
  return set;
}

void ResultSet::release() noexcept {
  if (--references_ == 0) delete this;
}

}  // namespace values

namespace types {
namespace {

long long affected_rows(PGresult* result) {
  const char* text = PQcmdTuples(result);
  return *text != '\0' ? std::strtoll(text, nullptr, 10) : -1;
}

}  // namespace

void forget_result(CursorObject* cursor) noexcept {
  values::ResultSet* old = std::exchange(cursor->result, nullptr);
  if (old != nullptr) old->release();
  cursor->row = 0;
  cursor->rowcount = -1;
  cursor->lastoid = InvalidOid;
  Py_XSETREF(cursor->description, Py_NewRef(Py_None));
}

bool take_result(CursorObject* cursor, ResultPtr* result, std::int64_t deadline) {
  forget_result(cursor);
  if (!commands::check(cursor->connection, cursor, result, deadline)) return false;
  PGresult* taken = result->get();
  const char* status = PQcmdStatus(taken);
  Py_XSETREF(cursor->status_message,
             values::decode_leniently(status, static_cast<Py_ssize_t>(std::strlen(status)),
                                      cursor->connection));
  if (cursor->status_message == nullptr) return false;
  cursor->lastoid = PQoidValue(taken);
  if (PQresultStatus(taken) == PGRES_COMMAND_OK) {
    cursor->rowcount = affected_rows(taken);
    return true;
  }
  cursor->result = values::ResultSet::create(result->release());
  if (cursor->result == nullptr) return false;
  cursor->rowcount = cursor->result->rows();
  Py_CLEAR(cursor->description);
  return cursor->result->decoder().prepare(cursor, taken);
}

}  // namespace types
}  // namespace psycoev
