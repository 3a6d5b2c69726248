// Executing: execute(), executemany(), callproc(), mogrify().
#include <cstring>

#include "commands/failure.h"
#include "commands/polling.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "types/async_query.h"
#include "types/checks.h"
#include "types/cursor_result.h"
#include "types/cursor_type.h"
#include "types/named_cursor.h"
#include "types/pipeline.h"
#include "values/adapt.h"
#include "values/encoding.h"
#include "values/error.h"
#include "values/typecast.h"

namespace psycoev::types {

using values::exceptions;

namespace {

PyTypeObject* composable_type;  // psycoev.sql.Composable, once it was needed

// 1, 0; below 0 with an exception set.
int is_composable(PyObject* object) {
  if (composable_type == nullptr) {
    const Ref module(PyImport_ImportModule("psycoev.sql"));
    const Ref type(module ? PyObject_GetAttrString(module.get(), "Composable") : nullptr);
    if (!type) return -1;
    composable_type = reinterpret_cast<PyTypeObject*>(Py_NewRef(type.get()));
  }
  return PyObject_IsInstance(object, reinterpret_cast<PyObject*>(composable_type));
}

// An owned str or bytes of a statement, with sql.Composable made str.
PyObject* plain_statement(CursorObject* self, PyObject* statement) {
  if (PyUnicode_Check(statement) || PyBytes_Check(statement)) return Py_NewRef(statement);
  const int composable = is_composable(statement);
  if (composable < 0) return nullptr;
  if (composable != 0) return PyObject_CallMethod(statement, "as_string", "O", self);
  PyErr_Format(PyExc_TypeError, "argument 1 must be a string or unicode object: got %.100s instead",
               Py_TYPE(statement)->tp_name);
  return nullptr;
}

// The bytes to send, with the parameters in.
PyObject* merged(CursorObject* self, PyObject* statement, PyObject* parameters) {
  const Ref plain(plain_statement(self, statement));
  if (!plain) return nullptr;
  const Py_ssize_t size = PyUnicode_Check(plain.get()) ? PyUnicode_GET_LENGTH(plain.get())
                                                       : PyBytes_GET_SIZE(plain.get());
  if (size == 0) {
    values::raise(exceptions.programming_error, self, "can't execute an empty query");
    return nullptr;
  }
  if (parameters != nullptr && parameters != Py_None) {
    return values::interpolate(plain.get(), parameters, self->connection);
  }
  if (PyBytes_Check(plain.get())) return Py_NewRef(plain.get());
  return values::encode(plain.get(), self->connection);
}

// (statement, vars=None, *, timeout=None) without an argument parser: execute() is hot.
struct ExecuteArguments {
  PyObject* statement = nullptr;
  PyObject* parameters = Py_None;
  PyObject* timeout = nullptr;

  bool parse(const char* name, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
    if (count > 2) {
      PyErr_Format(PyExc_TypeError, "%s() takes at most 2 positional arguments (%zd given)", name,
                   count);
      return false;
    }
    if (count > 0) statement = args[0];
    if (count > 1) parameters = args[1];
    const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t i = 0; i < named; ++i) {
      PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
      if (!take(keyword, args[count + i])) {
        PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", name,
                     keyword);
        return false;
      }
    }
    if (statement != nullptr) return true;
    PyErr_Format(PyExc_TypeError, "%s() missing required argument 'query' (pos 1)", name);
    return false;
  }

 private:
  bool take(PyObject* keyword, PyObject* value) {
    const auto is = [keyword](const char* name) {
      return PyUnicode_CompareWithASCIIString(keyword, name) == 0;
    };
    if (is("query") && statement == nullptr) {
      statement = value;
    } else if (is("vars") || is("vars_list")) {
      parameters = value;
    } else if (is("timeout")) {
      timeout = value;
    } else {
      return false;
    }
    return true;
  }
};

bool deadline_of(CursorObject* self, PyObject* timeout, std::int64_t* deadline) {
  if (timeout == nullptr) {
    *deadline = commands::statement_deadline(self->connection, self);
    return true;
  }
  double seconds = -1;
  if (!timeout_from(timeout, &seconds)) return false;
  *deadline = coev->deadline_after(seconds);
  return true;
}

bool can_execute(CursorObject* self, const char* name) {
  return require_open_cursor(self) && require_no_async_query(self, name) &&
         require_unprepared(self->connection, name);
}

PyObject* cursor_execute(PyObject* object, PyObject* const* args, Py_ssize_t count,
                         PyObject* keywords) {
  CursorObject* self = as_cursor(object);
  ExecuteArguments arguments;
  std::int64_t deadline = COEV_NEVER;
  if (!arguments.parse("execute", args, count, keywords)) return nullptr;
  if (self->name != nullptr && !can_declare(self)) return nullptr;
  if (!can_execute(self, "execute") || !deadline_of(self, arguments.timeout, &deadline)) {
    return nullptr;
  }
  forget_result(self);
  Ref query(merged(self, arguments.statement, arguments.parameters));
  if (!query) return nullptr;
  if (self->name != nullptr) query.reset(declaration(self, query.get()));
  if (!query) return nullptr;
  Py_XSETREF(self->query, query.release());
  if (!execute_query(self, deadline)) return nullptr;
  Py_RETURN_NONE;
}

// ---- executemany ----

// Statements that go to the server together, where an error of one undoes all anyway.
class Batch {
 public:
  Batch(CursorObject* self, std::int64_t deadline) : self_(self), deadline_(deadline) {}

  // A transaction's statements may be joined; under autocommit each is a transaction of its own.
  bool add(PyObject* query) {
    if (joins_ && count_ > 0 && !may_join()) joins_ = false;
    if (text_ == nullptr) {
      text_ = PyByteArray_FromStringAndSize(nullptr, 0);
      if (text_ == nullptr) return false;
    }
    const Py_ssize_t used = PyByteArray_GET_SIZE(text_);
    const Py_ssize_t size = PyBytes_GET_SIZE(query);
    const Py_ssize_t joint = count_ > 0 ? kJointSize : 0;
    if (PyByteArray_Resize(text_, used + joint + size) < 0) return false;
    char* end = PyByteArray_AS_STRING(text_) + used;
    std::memcpy(end, kJoint, static_cast<std::size_t>(joint));
    std::memcpy(end + joint, PyBytes_AS_STRING(query), static_cast<std::size_t>(size));
    Py_XSETREF(last_, Py_NewRef(query));
    ++count_;
    return (may_join() && count_ < kMostStatements && used + joint + size < kMostBytes) || send();
  }

  bool send() {
    if (count_ == 0) return true;
    const int count = std::exchange(count_, 0);
    const Ref text(std::exchange(text_, nullptr));
    Py_XSETREF(self_->query, PyBytes_FromStringAndSize(PyByteArray_AS_STRING(text.get()),
                                                       PyByteArray_GET_SIZE(text.get())));
    if (self_->query == nullptr) return false;
    long long affected = 0;
    if (!execute_batch(count, &affected)) return false;
    Py_XSETREF(self_->query, std::exchange(last_, nullptr));
    if (affected < 0 || total_ < 0) {
      total_ = -1;
    } else {
      total_ += affected;
    }
    return true;
  }

  [[nodiscard]] long long total() const { return total_; }

  ~Batch() {
    Py_XDECREF(text_);
    Py_XDECREF(last_);
  }

 private:
  // A statement may end in a comment of one line.
  static constexpr char kJoint[] = "\n;\n";
  static constexpr Py_ssize_t kJointSize = 3;
  static constexpr int kMostStatements = 1000;
  static constexpr Py_ssize_t kMostBytes = 1 << 18;

  [[nodiscard]] bool may_join() const {
    const ConnectionObject* connection = self_->connection;
    // A wait callback sees one statement's result: how many rows the others met is not told.
    return joins_ && !is_in_pipeline(connection) &&
           (!connection->autocommit || connection->entered) &&
           !commands::uses_wait_callback(connection);
  }

  bool execute_batch(int count, long long* affected) {
    if (count == 1) {
      if (!execute_query(self_, deadline_)) return false;
      *affected = self_->rowcount;
      return true;
    }
    ConnectionObject* connection = self_->connection;
    forget_result(self_);
    const Ref query = Ref::borrowed(self_->query);
    const commands::Turn turn(connection, deadline_);
    ResultPtr result;
    return turn && commands::begin_if_needed(connection, self_, deadline_) &&
           commands::run_batch(connection, self_, PyBytes_AS_STRING(query.get()), deadline_,
                               &result, affected) &&
           take_result(self_, &result, deadline_);
  }

  CursorObject* self_;
  std::int64_t deadline_;
  PyObject* text_ = nullptr;
  PyObject* last_ = nullptr;
  int count_ = 0;
  bool joins_ = true;
  long long total_ = 0;
};

PyObject* cursor_executemany(PyObject* object, PyObject* const* args, Py_ssize_t count,
                             PyObject* keywords) {
  CursorObject* self = as_cursor(object);
  ExecuteArguments arguments;
  std::int64_t deadline = COEV_NEVER;
  if (!arguments.parse("executemany", args, count, keywords)) return nullptr;
  if (!require_open_cursor(self) || !require_sync(self->connection, "executemany") ||
      !require_unprepared(self->connection, "executemany")) {
    return nullptr;
  }
  if (self->name != nullptr) {
    PyErr_SetString(exceptions.programming_error, "can't call .executemany() on named cursors");
    return nullptr;
  }
  if (!deadline_of(self, arguments.timeout, &deadline)) return nullptr;
  const Ref rows(PyObject_GetIter(arguments.parameters));
  const Ref plain(rows ? plain_statement(self, arguments.statement) : nullptr);
  if (!plain) return nullptr;
  forget_result(self);
  Batch batch(self, deadline);
  while (const Ref row{PyIter_Next(rows.get())}) {
    if (!require_open_cursor(self)) return nullptr;
    const Ref query(merged(self, plain.get(), row.get()));
    if (!query) break;
    if (!batch.add(query.get())) return nullptr;
  }
  if (PyErr_Occurred()) {
    // The statements before the one that failed are executed, as one after another would be.
    const SavedException saved;
    if (!batch.send()) PyErr_Clear();
  } else if (batch.send()) {
    self->rowcount = batch.total();
    Py_RETURN_NONE;
  }
  return nullptr;
}

// ---- mogrify, callproc, and what does nothing ----

PyObject* cursor_mogrify(PyObject* object, PyObject* const* args, Py_ssize_t count,
                         PyObject* keywords) {
  CursorObject* self = as_cursor(object);
  ExecuteArguments arguments;
  if (!arguments.parse("mogrify", args, count, keywords)) return nullptr;
  // A closed cursor will do: nothing is sent.
  if (self->connection == nullptr && !require_open_cursor(self)) return nullptr;
  return merged(self, arguments.statement, arguments.parameters);
}

// "name" := %s for a dict, %s for a sequence; *values becomes what is merged in.
PyObject* procedure_call(CursorObject* self, PyObject* name, PyObject* parameters, Ref* values) {
  Ref places(PyList_New(0));
  if (!places) return nullptr;
  const bool is_named = PyDict_Check(parameters);
  values->reset(is_named ? PyDict_Values(parameters) : PySequence_List(parameters));
  if (!*values) return nullptr;
  const Ref keys(is_named ? PyDict_Keys(parameters) : nullptr);
  if (is_named && !keys) return nullptr;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(values->get()); ++i) {
    Ref place;
    if (is_named) {
      const Ref key(values::encode(PyList_GET_ITEM(keys.get(), i), self->connection));
      const Ref quoted(key ? values::quote_identifier(PyBytes_AS_STRING(key.get()),
                                                      PyBytes_GET_SIZE(key.get()), self->connection)
                           : nullptr);
      const Ref text(quoted ? values::decode(PyBytes_AS_STRING(quoted.get()),
                                             PyBytes_GET_SIZE(quoted.get()), self->connection)
                            : nullptr);
      if (!text) return nullptr;
      // Within a statement that parameters are merged into, a percent sign is doubled.
      const Ref escaped(PyObject_CallMethod(text.get(), "replace", "ss", "%", "%%"));
      if (!escaped) return nullptr;
      place.reset(PyUnicode_FromFormat("%U := %%s", escaped.get()));
    } else {
      place.reset(PyUnicode_FromString("%s"));
    }
    if (!place || PyList_Append(places.get(), place.get()) < 0) return nullptr;
  }
  const Ref comma(PyUnicode_FromString(","));
  const Ref list(comma ? PyUnicode_Join(comma.get(), places.get()) : nullptr);
  return list ? PyUnicode_FromFormat("SELECT * FROM %U(%U)", name, list.get()) : nullptr;
}

PyObject* cursor_callproc(PyObject* object, PyObject* args) {
  CursorObject* self = as_cursor(object);
  PyObject* name = nullptr;
  PyObject* parameters = Py_None;
  if (!PyArg_ParseTuple(args, "U|O:callproc", &name, &parameters)) return nullptr;
  if (!can_execute(self, "callproc")) return nullptr;
  if (self->name != nullptr) {
    PyErr_SetString(exceptions.programming_error, "can't call .callproc() on named cursors");
    return nullptr;
  }
  const Ref nothing(PyTuple_New(0));
  Ref values;
  const Ref statement(
      nothing
          ? procedure_call(self, name, parameters == Py_None ? nothing.get() : parameters, &values)
          : nullptr);
  if (!statement) return nullptr;
  const Ref done(PyObject_CallMethod(object, "execute", "OO", statement.get(), values.get()));
  return done ? Py_NewRef(parameters) : nullptr;
}

PyObject* cursor_cast(PyObject* object, PyObject* args) {
  unsigned int oid = 0;
  PyObject* value = nullptr;
  if (!PyArg_ParseTuple(args, "IO:cast", &oid, &value)) return nullptr;
  return values::cast_by_oid(as_cursor(object), oid, value);
}

PyObject* cursor_ignore(PyObject* object, PyObject*) {
  return require_open_cursor(as_cursor(object)) ? Py_NewRef(Py_None) : nullptr;
}

PyObject* cursor_nextset(PyObject*, PyObject*) {
  PyErr_SetString(exceptions.not_supported_error, "not supported by PostgreSQL");
  return nullptr;
}

}  // namespace

PyObject* statement_bytes(CursorObject* self, PyObject* statement, PyObject* parameters) {
  return merged(self, statement, parameters);
}

bool execute_query(CursorObject* self, std::int64_t deadline, bool begins) {
  ConnectionObject* connection = self->connection;
  forget_result(self);
  // The program may execute again on this cursor while this query runs.
  const Ref query = Ref::borrowed(self->query);
  const char* sql = PyBytes_AS_STRING(query.get());
  if (connection->is_async) return begin_async_query(self, sql);
  if (is_in_pipeline(connection)) return pipeline_execute(self, sql, deadline);
  const commands::Turn turn(connection, deadline);
  ResultPtr result;
  return turn && (!begins || commands::begin_if_needed(connection, self, deadline)) &&
         commands::run(connection, self, sql, deadline, &result) &&
         take_result(self, &result, deadline);
}

PyMethodDef kExecuteMethods[] = {
    {"execute", method(cursor_execute), METH_FASTCALL | METH_KEYWORDS,
     "execute(query, vars=None, *, timeout=None) -- execute a statement\n\n"
     ":param vars: a sequence for %s, or a mapping for %(name)s.\n"
     ":param timeout: seconds; None is without limit. Not given, it is the cursor's, else the\n"
     "    connection's.\n"
     ":raises QueryCanceledError: it took longer.\n\n"
     "Switches: always."},
    {"executemany", method(cursor_executemany), METH_FASTCALL | METH_KEYWORDS,
     "executemany(query, vars_list, *, timeout=None) -- execute a statement for each of a list\n\n"
     "Within a transaction many of them are sent at once.\n\n"
     "Switches: only if the list is not empty."},
    {"mogrify", method(cursor_mogrify), METH_FASTCALL | METH_KEYWORDS,
     "mogrify(query, vars=None) -> the bytes that execute() would send\n\nSwitches: never."},
    {"callproc", cursor_callproc, METH_VARARGS,
     "callproc(procname, parameters=None) -> parameters; the rows are what the function "
     "returned\n\nSwitches: always."},
    {"cast", cursor_cast, METH_VARARGS,
     "cast(oid, value) -> what the text of a value is as an object\n\nSwitches: never."},
    {"setinputsizes", cursor_ignore, METH_VARARGS, "setinputsizes(sizes) -- does nothing"},
    {"setoutputsize", cursor_ignore, METH_VARARGS, "setoutputsize(size, column) -- does nothing"},
    {"nextset", cursor_nextset, METH_NOARGS, "nextset() -- raises NotSupportedError"},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace psycoev::types
