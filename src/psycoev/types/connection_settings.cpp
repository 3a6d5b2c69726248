// What a connection's transactions are like, and its encoding.
#include <cstdio>
#include <cstring>

#include "commands/failure.h"
#include "commands/run.h"
#include "commands/transaction.h"
#include "commands/turn.h"
#include "types/checks.h"
#include "types/connection_type.h"
#include "values/adapt.h"
#include "values/encoding.h"
#include "values/error.h"

namespace psycoev::types {

using commands::kIsolationDefault;
using commands::kSettingDefault;

namespace {

struct Settings {
  int isolation_level;
  int readonly;
  int deferrable;
  bool autocommit;

  static Settings of(const ConnectionObject* self) {
    return {self->isolation_level, self->readonly, self->deferrable, self->autocommit};
  }
  void store(ConnectionObject* self) const {
    self->isolation_level = isolation_level;
    self->readonly = readonly;
    self->deferrable = deferrable;
    self->autocommit = autocommit;
  }
};

const char* setting_name(int value) {
  return value == kSettingDefault ? "default" : value != 0 ? "on" : "off";
}

bool set_parameter(ConnectionObject* self, const char* parameter, const char* value) {
  char sql[160];
  if (std::strcmp(value, "default") == 0) {
    std::snprintf(sql, sizeof sql, "SET %s TO DEFAULT", parameter);
  } else {
    std::snprintf(sql, sizeof sql, "SET %s TO '%s'", parameter, value);
  }
  return commands::run_command(self, nullptr, sql, commands::statement_deadline(self));
}

// Under autocommit no BEGIN carries the characteristics: the session has to.
bool apply(ConnectionObject* self, const Settings& wanted) {
  const Settings now = Settings::of(self);
  // Leaving autocommit, the session's defaults are as they were, and BEGIN says the rest.
  const Settings target = wanted.autocommit ? wanted : Settings{kIsolationDefault, 2, 2, false};
  if (!wanted.autocommit && !now.autocommit) return true;
  const Settings from = now.autocommit ? now : Settings{kIsolationDefault, 2, 2, false};
  if (target.isolation_level != from.isolation_level &&
      !set_parameter(self, "default_transaction_isolation",
                     commands::isolation_name(target.isolation_level))) {
    return false;
  }
  if (target.readonly != from.readonly &&
      !set_parameter(self, "default_transaction_read_only", setting_name(target.readonly))) {
    return false;
  }
  return target.deferrable == from.deferrable ||
         set_parameter(self, "default_transaction_deferrable", setting_name(target.deferrable));
}

bool change(ConnectionObject* self, const Settings& wanted) {
  const commands::Turn turn(self, commands::statement_deadline(self));
  if (!turn || !apply(self, wanted)) return false;
  wanted.store(self);
  return true;
}

bool can_change(ConnectionObject* self, const char* name) {
  return commands::require_open(self) && require_sync(self, name) &&
         require_no_transaction(self, name) && require_unprepared(self, name);
}

// ---- from Python's values ----

bool is_text(PyObject* value) { return PyUnicode_Check(value) || PyBytes_Check(value); }

const char* text_of(PyObject* value) {
  return PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : PyBytes_AS_STRING(value);
}

bool isolation_from(PyObject* value, int* level) {
  if (value == Py_None) {
    *level = kIsolationDefault;
    return true;
  }
  if (PyLong_Check(value)) {
    const long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred()) return false;
    if (number < 1 || number > 4) {
      PyErr_SetString(PyExc_ValueError, "isolation_level must be between 1 and 4");
      return false;
    }
    *level = static_cast<int>(number);
    return true;
  }
  if (!is_text(value)) {
    PyErr_Format(PyExc_TypeError, "an isolation level is a string, a number or None, not %.100s",
                 Py_TYPE(value)->tp_name);
    return false;
  }
  const char* text = text_of(value);
  if (text == nullptr) return false;
  for (*level = 1; *level <= kIsolationDefault; ++*level) {
    if (PyOS_stricmp(text, commands::isolation_name(*level)) == 0) return true;
  }
  PyErr_Format(PyExc_ValueError, "bad value for isolation_level: '%s'", text);
  return false;
}

bool setting_from(PyObject* value, int* setting) {
  if (value == Py_None) {
    *setting = kSettingDefault;
    return true;
  }
  if (is_text(value)) {
    const char* text = text_of(value);
    if (text == nullptr) return false;
    *setting = kSettingDefault;
    if (PyOS_stricmp(text, "default") == 0) return true;
    PyErr_Format(PyExc_ValueError, "the only string accepted is 'default'; got %s", text);
    return false;
  }
  const int truth = PyObject_IsTrue(value);
  *setting = truth;
  return truth >= 0;
}

bool refuse_delete(PyObject* value) {
  if (value != nullptr) return false;
  PyErr_SetString(PyExc_TypeError, "a setting of a connection cannot be deleted");
  return true;
}

// ---- the attributes ----

PyObject* setting_object(int value) {
  return value == kSettingDefault ? Py_NewRef(Py_None) : PyBool_FromLong(value);
}

PyObject* get_autocommit(PyObject* object, void*) {
  return PyBool_FromLong(as_connection(object)->autocommit);
}

int set_autocommit(PyObject* object, PyObject* value, void*) {
  ConnectionObject* self = as_connection(object);
  if (refuse_delete(value) || !can_change(self, "autocommit")) return -1;
  const int truth = PyObject_IsTrue(value);
  if (truth < 0) return -1;
  Settings wanted = Settings::of(self);
  wanted.autocommit = truth != 0;
  return change(self, wanted) ? 0 : -1;
}

PyObject* get_isolation_level(PyObject* object, void*) {
  const ConnectionObject* self = as_connection(object);
  if (!commands::require_open(self)) return nullptr;
  return self->isolation_level == kIsolationDefault ? Py_NewRef(Py_None)
                                                    : PyLong_FromLong(self->isolation_level);
}

int set_isolation_level(PyObject* object, PyObject* value, void*) {
  ConnectionObject* self = as_connection(object);
  if (refuse_delete(value) || !can_change(self, "isolation_level")) return -1;
  Settings wanted = Settings::of(self);
  return isolation_from(value, &wanted.isolation_level) && change(self, wanted) ? 0 : -1;
}

PyObject* get_readonly(PyObject* object, void*) {
  return setting_object(as_connection(object)->readonly);
}

int set_readonly(PyObject* object, PyObject* value, void*) {
  ConnectionObject* self = as_connection(object);
  if (refuse_delete(value) || !can_change(self, "readonly")) return -1;
  Settings wanted = Settings::of(self);
  return setting_from(value, &wanted.readonly) && change(self, wanted) ? 0 : -1;
}

PyObject* get_deferrable(PyObject* object, void*) {
  return setting_object(as_connection(object)->deferrable);
}

int set_deferrable(PyObject* object, PyObject* value, void*) {
  ConnectionObject* self = as_connection(object);
  if (refuse_delete(value) || !can_change(self, "deferrable")) return -1;
  Settings wanted = Settings::of(self);
  return setting_from(value, &wanted.deferrable) && change(self, wanted) ? 0 : -1;
}

// ---- the methods ----

PyObject* connection_set_session(PyObject* object, PyObject* args, PyObject* kwargs) {
  ConnectionObject* self = as_connection(object);
  static const char* names[] = {"isolation_level", "readonly", "deferrable", "autocommit", nullptr};
  PyObject* isolation_level = nullptr;
  PyObject* readonly = nullptr;
  PyObject* deferrable = nullptr;
  PyObject* autocommit = nullptr;
  if (!can_change(self, "set_session") ||
      !PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOO:set_session", const_cast<char**>(names),
                                   &isolation_level, &readonly, &deferrable, &autocommit)) {
    return nullptr;
  }
  // Here None is "as before"; 'default' is the server's.
  const auto is_given = [](PyObject* value) { return value != nullptr && value != Py_None; };
  Settings wanted = Settings::of(self);
  if (is_given(isolation_level) && !isolation_from(isolation_level, &wanted.isolation_level)) {
    return nullptr;
  }
  if (is_given(readonly) && !setting_from(readonly, &wanted.readonly)) return nullptr;
  if (is_given(deferrable) && !setting_from(deferrable, &wanted.deferrable)) return nullptr;
  if (is_given(autocommit)) {
    const int truth = PyObject_IsTrue(autocommit);
    if (truth < 0) return nullptr;
    wanted.autocommit = truth != 0;
  }
  return change(self, wanted) ? Py_NewRef(Py_None) : nullptr;
}

// The older method: 0 is autocommit, and a transaction that is open is rolled back.
PyObject* connection_set_isolation_level(PyObject* object, PyObject* args) {
  ConnectionObject* self = as_connection(object);
  PyObject* value = nullptr;
  if (!commands::require_open(self) || !require_sync(self, "set_isolation_level") ||
      !require_unprepared(self, "set_isolation_level") ||
      !PyArg_ParseTuple(args, "O:set_isolation_level", &value)) {
    return nullptr;
  }
  Settings wanted = Settings::of(self);
  bool is_zero = false;
  if (PyLong_Check(value)) {
    const long number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred()) return nullptr;
    if (number < 0 || number > 4) {
      PyErr_SetString(PyExc_ValueError, "isolation_level must be between 0 and 4");
      return nullptr;
    }
    is_zero = number == 0;
  }
  if (!is_zero && !isolation_from(value, &wanted.isolation_level)) return nullptr;
  if (is_zero) wanted.isolation_level = kIsolationDefault;
  wanted.autocommit = is_zero;
  if (!commands::rollback(self)) return nullptr;
  return change(self, wanted) ? Py_NewRef(Py_None) : nullptr;
}

// PostgreSQL compares names of encodings by their letters and digits alone.
void clean_encoding(const char* name, char* clean, std::size_t size) {
  std::size_t used = 0;
  for (; *name != '\0' && used + 1 < size; ++name) {
    if (Py_ISALNUM(static_cast<unsigned char>(*name))) clean[used++] = Py_TOUPPER(*name);
  }
  clean[used] = '\0';
}

PyObject* connection_set_client_encoding(PyObject* object, PyObject* args) {
  ConnectionObject* self = as_connection(object);
  const char* name = nullptr;
  if (!commands::require_open(self) || !require_sync(self, "set_client_encoding") ||
      !require_unprepared(self, "set_client_encoding") ||
      !PyArg_ParseTuple(args, "s:set_client_encoding", &name)) {
    return nullptr;
  }
  char clean[64];
  clean_encoding(name, clean, sizeof clean);
  const commands::Turn turn(self, commands::statement_deadline(self));
  if (!turn) return nullptr;
  const char* now = self->encoding != nullptr ? PyUnicode_AsUTF8(self->encoding) : nullptr;
  if (now != nullptr && std::strcmp(now, clean) == 0) Py_RETURN_NONE;
  PyErr_Clear();
  if (!commands::rollback_in_turn(self, commands::statement_deadline(self)) ||
      !set_parameter(self, "client_encoding", clean)) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

}  // namespace

PyMethodDef kSettingsMethods[] = {
    {"set_session", method(connection_set_session), METH_VARARGS | METH_KEYWORDS,
     "set_session(isolation_level=None, readonly=None, deferrable=None, autocommit=None) -- what "
     "the next transactions are like; None leaves a setting, 'default' is the server's\n\n"
     "Switches: only if autocommit is on or is turned on or off."},
    {"set_isolation_level", connection_set_isolation_level, METH_VARARGS,
     "set_isolation_level(level) -- roll back, and set extensions.ISOLATION_LEVEL_*\n\n"
     "Switches: only if there is something to tell the server."},
    {"set_client_encoding", connection_set_client_encoding, METH_VARARGS,
     "set_client_encoding(encoding) -- roll back, and set PostgreSQL's name of an encoding\n\n"
     "Switches: only if it is another one."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef kSettingsAttributes[] = {
    {"autocommit", get_autocommit, set_autocommit, "Whether each statement commits.", nullptr},
    {"isolation_level", get_isolation_level, set_isolation_level,
     "extensions.ISOLATION_LEVEL_* of the next transactions; None is the server's default.",
     nullptr},
    {"readonly", get_readonly, set_readonly,
     "Whether the next transactions only read; None is the server's default.", nullptr},
    {"deferrable", get_deferrable, set_deferrable,
     "Whether the next transactions are deferrable; None is the server's default.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

}  // namespace psycoev::types
