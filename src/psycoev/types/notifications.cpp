// wait_notify(): waiting for what NOTIFY sends (PostgreSQL, LISTEN).
#include "commands/failure.h"
#include "commands/turn.h"
#include "types/checks.h"
#include "types/connection_type.h"
#include "types/cursor_type.h"
#include "values/error.h"

namespace psycoev::types {
namespace {

constexpr double kAside = 0.0005;  // seconds that a listener steps aside for others

// Takes the oldest of connection.notifies. 1: taken; 0: there is none; -1 with an exception set.
int take_oldest(ConnectionObject* self, Ref* notify) {
  const Ref notifies = Ref::borrowed(self->notifies);
  const Py_ssize_t count = PyObject_Size(notifies.get());
  if (count <= 0) return static_cast<int>(count);
  notify->reset(PyList_Check(notifies.get())
                    ? PyObject_CallMethod(notifies.get(), "pop", "i", 0)
                    : PyObject_CallMethod(notifies.get(), "popleft", nullptr));
  return *notify ? 1 : -1;
}

PyObject* connection_wait_notify(PyObject* object, PyObject* args, PyObject* kwargs) {
  ConnectionObject* self = as_connection(object);
  static const char* names[] = {"timeout", nullptr};
  PyObject* timeout = Py_None;
  double seconds = -1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:wait_notify", const_cast<char**>(names),
                                   &timeout) ||
      !timeout_from(timeout, &seconds) || !require_connected(self) ||
      !require_sync(self, "wait_notify")) {
    return nullptr;
  }
  const std::int64_t deadline = coev->deadline_after(seconds);
  for (bool is_late = false;;) {
    Ref notify;
    const int taken = take_oldest(self, &notify);
    if (taken != 0) return notify.release();
    if (is_late) Py_RETURN_NONE;
    commands::Turn turn(self, COEV_NEVER);
    if (!turn) return nullptr;
    const session::Outcome outcome = self->session->listen(deadline);
    is_late = outcome == session::Outcome::kTimedOut;
    // An interrupted listener leaves nothing half read: there is nothing to recover from.
    if (outcome == session::Outcome::kInterrupted) return nullptr;
    if (outcome != session::Outcome::kDone && !is_late) {
      return commands::raise_outcome(self, nullptr, self->session->conclude(outcome));
    }
    turn.end();
    // A lock that is free may be taken by whoever asks first: others have to run before.
    if (self->session->is_wanted() && coev->sleep(kAside) < 0) return nullptr;
  }
}

}  // namespace

PyMethodDef kNotificationMethods[] = {
    {"wait_notify", method(connection_wait_notify), METH_VARARGS | METH_KEYWORDS,
     "wait_notify(timeout=None) -> the oldest of connection.notifies, taken away; or None\n\n"
     "Statements of other coroutines on the connection go first.\n\n"
     ":param timeout: seconds; None waits without limit, and 0 only looks.\n\n"
     "Switches: only if there is none yet."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace psycoev::types
