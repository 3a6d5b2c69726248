// The adapter classes (Int, QuotedString, Binary, ...), `adapters` and who is adapted by what.
#pragma once

#include "connection.h"
#include "values/buffer.h"
#include "values/literals.h"

namespace psycoev::values {

// Makes ISQLQuote, the adapter classes, DateFromPy and its like, Date and its like, the dict
// `adapters` with our entries, and adapt().
[[nodiscard]] bool add_adapters(PyObject* module);

// A class of the module.
struct AdapterClass {
  const char* full_name;  // "psycoev.extensions.Int"
  newfunc make;
  bool prepares;       // has prepare(connection)
  PyTypeObject* type;  // filled by add_adapter_classes()
};
enum AdapterKind { kAsIs, kBoolean, kInt, kFloat, kDecimal, kBinary, kQuotedString, kList, kKinds };
extern AdapterClass adapter_classes[kKinds];
[[nodiscard]] bool add_adapter_classes(PyObject* module);

// The type psycoev._psycopg.datetime, DateFromPy ... IntervalFromPy, Date ... TimestampFromTicks.
[[nodiscard]] bool add_datetime_adapters(PyObject* module);
// extensions.ISQLQuote, the protocol of adapters that give SQL.
extern PyTypeObject* isqlquote_type;
[[nodiscard]] bool add_isqlquote(PyObject* module);

// The literal of any object: our writer where the entry in `adapters` is ours, else that of an
// adapter object.
// SWITCHES: only if an adapter of the program does.
[[nodiscard]] bool write_adapted(PyObject* value, ConnectionObject* connection, Buffer& out);

// Whether a list, or an object of a subclass, has our List for its adapter.
[[nodiscard]] bool is_adapted_as_list(PyObject* list);

}  // namespace psycoev::values
