// Query strings (application/x-www-form-urlencoded), as urllib.parse of CPython 3.13
// takes them apart.
#ifndef CQSL_QUERY_H
#define CQSL_QUERY_H

#include <Python.h>

namespace cqsl {

// Takes the fields of a query one by one; given each non-blank name and value.
class PairSink {
 public:
  // OWNS: both. ERRORS: false with an exception set.
  [[nodiscard]] virtual bool add(PyObject* name, PyObject* value) noexcept = 0;

 protected:
  ~PairSink() = default;
};

// BORROWS: all.
struct QueryOptions {
  PyObject* keep_blank_values;  // any object: asked for its truth when that matters
  PyObject* strict_parsing;     // likewise
  PyObject* encoding;
  PyObject* errors;
  PyObject* max_num_fields;
  PyObject* separator;
};

// Takes `query` apart: a str, a bytes-like object, or something false for no fields.
// ERRORS: false with ValueError, UnicodeError, TypeError, LookupError (no such codec)
// or MemoryError set.
[[nodiscard]] bool parse_query(PyObject* query, const QueryOptions& options,
                               PairSink& sink) noexcept;

}  // namespace cqsl

#endif  // CQSL_QUERY_H
