#include "python/monkey/files/sqlite_methods.h"

#include <Python.h>

#include <array>
#include <cstddef>
#include <iterator>
#include <utility>

#include "core/scheduler.h"
#include "core/time.h"
#include "python/base/module_hook.h"
#include "python/base/ref.h"
#include "python/base/retarget.h"
#include "python/base/shared_library.h"
#include "python/waiting/blocking.h"
#include "python/waiting/occupancy.h"

namespace coev::python::sqlite_methods {
namespace {

// --- the sleep ------------------------------------------------------------------------

// sqlite3_vfs, version 1, of which every later one is an extension
// (https://www.sqlite.org/c3ref/vfs.html).
struct Vfs {
  int version;
  int file_bytes;
  int path_bytes;
  Vfs* next;
  const char* name;
  void* data;
  std::array<void (*)(), 9> other_methods;
  int (*sleep)(Vfs*, int microseconds);
};

int (*g_original_sleep)(Vfs*, int) = nullptr;

// Called inside SQLite, without the GIL, by whichever thread waits.
int cooperative_sleep(Vfs* vfs, int microseconds) {
  constexpr std::int64_t kNsPerMicrosecond = 1000;
  Scheduler* scheduler = Scheduler::find();
  if (scheduler == nullptr || PyGILState_GetThisThreadState() == nullptr || is_closed() ||
      scheduler->current().state != CoroutineState::kRunning) {
    return g_original_sleep(vfs, microseconds);
  }
  const PyGILState_STATE gil = PyGILState_Ensure();
  const Deadline deadline = Deadline::after(std::int64_t{microseconds} * kNsPerMicrosecond);
  {
    // SQLite cannot be told to give up: it ends the wait by itself.
    InterruptShield shield(scheduler->current());
    while (scheduler->sleep_until(deadline) == Status::kInterrupted) shield.absorb();
  }
  PyGILState_Release(gil);
  return microseconds;
}

// Exchanges the sleep of the system's file systems, in the library that `module`
// uses. They share one function.
void adopt_sleep(PyObject* module) noexcept {
  if (g_original_sleep != nullptr) return;
  Vfs* (*find)(const char*) = nullptr;
  Vfs* vfs = SharedLibrary(module).find("sqlite3_vfs_find", &find) ? find(nullptr) : nullptr;
  if (vfs == nullptr) return;
  g_original_sleep = vfs->sleep;
  for (; vfs != nullptr; vfs = vfs->next) {
    if (vfs->sleep == g_original_sleep) vfs->sleep = cooperative_sleep;
  }
}

// --- the connection: one coroutine at a time --------------------------------------------

constexpr const char* kConnectionMethods[] = {
    "execute", "executemany", "executescript", "commit",      "rollback", "close",
    "backup",  "blobopen",    "serialize",     "deserialize", "__exit__"};
constexpr const char* kCursorMethods[] = {"execute",   "executemany", "executescript", "fetchone",
                                          "fetchmany", "fetchall",    "close"};

std::array<Original, std::size(kConnectionMethods)> g_connection_original;
std::array<Original, std::size(kCursorMethods)> g_cursor_original;
iternextfunc g_original_next = nullptr;
PyObject* g_connection_name = nullptr;

// The object whose visitor may call SQLite; a cursor without a connection stands
// for itself, and will be told so by the original.
Ref connection_of(PyObject* cursor) noexcept {
  Ref connection = Ref::steal(PyObject_GenericGetAttr(cursor, g_connection_name));
  if (connection) return connection;
  PyErr_Clear();
  return Ref::borrow(cursor);
}

template <std::size_t index>
PyObject* connection_method(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                            PyObject* keywords) {
  const Visit visit(self);
  if (visit.refused()) return nullptr;
  return g_connection_original[index](self, arguments, count, keywords);
}

template <std::size_t index>
PyObject* cursor_method(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                        PyObject* keywords) {
  const Ref connection = connection_of(self);
  const Visit visit(connection.get());
  if (visit.refused()) return nullptr;
  return g_cursor_original[index](self, arguments, count, keywords);
}

PyObject* cursor_next(PyObject* self) {
  const Ref connection = connection_of(self);
  const Visit visit(connection.get());
  if (visit.refused()) return nullptr;
  return g_original_next(self);
}

template <std::size_t... index>
bool retarget_connection(PyObject* type, std::index_sequence<index...>) noexcept {
  return (retarget<connection_method<index>>(type, kConnectionMethods[index],
                                             &g_connection_original[index]) &&
          ...);
}

template <std::size_t... index>
bool retarget_cursor(PyObject* type, std::index_sequence<index...>) noexcept {
  return (retarget<cursor_method<index>>(type, kCursorMethods[index], &g_cursor_original[index]) &&
          ...);
}

bool adopt(PyObject* module) noexcept {
  adopt_sleep(module);
  if (g_original_sleep == nullptr) return true;  // no waits: nobody meets another one inside
  const Ref connection = Ref::steal(PyObject_GetAttrString(module, "Connection"));
  const Ref cursor = Ref::steal(PyObject_GetAttrString(module, "Cursor"));
  if (!connection || !cursor) return false;
  auto* cursor_type = reinterpret_cast<PyTypeObject*>(cursor.get());
  if (g_original_next == nullptr) g_original_next = cursor_type->tp_iternext;
  cursor_type->tp_iternext = cursor_next;
  return retarget_connection(connection.get(),
                             std::make_index_sequence<std::size(kConnectionMethods)>()) &&
         retarget_cursor(cursor.get(), std::make_index_sequence<std::size(kCursorMethods)>());
}

}  // namespace

bool install() noexcept {
  if (g_connection_name != nullptr) return true;
  g_connection_name = PyUnicode_InternFromString("connection");
  return g_connection_name != nullptr && when_loaded("_sqlite3", adopt);
}

}  // namespace coev::python::sqlite_methods
