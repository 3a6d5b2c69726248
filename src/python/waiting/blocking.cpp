#include "python/waiting/blocking.h"

#include <cerrno>

#include "python/waiting/coroutine_object.h"
#include "python/waiting/signals.h"

namespace coev::python {
bool handle_interrupt() noexcept {
  Coroutine& self = thread_state::scheduler().current();
  Scheduler::clear_interrupt(self);
  if (raise_pending(self)) return false;
  return signals::run_pending();
}

bool may_block() noexcept {
  if (is_closed()) [[unlikely]]
    return false;
  // A finalizer may run while the scheduler looks for somebody to run.
  const Scheduler* scheduler = Scheduler::find();
  return scheduler == nullptr || scheduler->current().state == CoroutineState::kRunning;
}

bool can_block() noexcept {
  if (may_block()) [[likely]]
    return true;
  PyErr_SetString(PyExc_RuntimeError, is_closed() ? "cannot block at interpreter shutdown"
                                                  : "cannot block between two coroutines");
  return false;
}

PyObject* raise(Status status) noexcept {
  switch (status) {
    case Status::kTimedOut:
      PyErr_SetString(PyExc_TimeoutError, "timed out");
      break;
    case Status::kClosed:
      errno = EBADF;
      PyErr_SetFromErrno(PyExc_OSError);
      break;
    case Status::kSystemError:
      PyErr_SetFromErrno(PyExc_OSError);
      break;
    case Status::kNotOwner:
      PyErr_SetString(PyExc_RuntimeError, "release unlocked lock");
      break;
    case Status::kEndOfStream:
      PyErr_SetString(PyExc_EOFError, "the stream ended before all bytes came");
      break;
    case Status::kLimit:
      PyErr_SetString(PyExc_ValueError, "the delimiter did not come within the limit");
      break;
    case Status::kNoMemory:
      PyErr_NoMemory();
      break;
    case Status::kInterrupted:
    case Status::kOk:
      break;
  }
  return nullptr;
}

namespace {

template <Status (Scheduler::*yield)() noexcept>
bool give_way() noexcept {
  if (!can_block()) return false;
  Scheduler& scheduler = thread_state::scheduler();
  if (scheduler.current().interrupt_pending && !handle_interrupt()) return false;
  // One turn is enough, also when a signal handler ran meanwhile.
  return (scheduler.*yield)() != Status::kInterrupted || handle_interrupt();
}

}  // namespace

bool yield_now() noexcept { return give_way<&Scheduler::yield>(); }

bool yield_to_newest() noexcept { return give_way<&Scheduler::yield_to_newest>(); }

bool give_way_if_due() noexcept {
  if (!may_block()) return true;
  thread_state::offer_gil_if_due();
  // An OS thread without coroutines has nobody else to run.
  Scheduler* scheduler = Scheduler::find();
  if (scheduler == nullptr) return true;
  return scheduler->give_way_if_due() != Status::kInterrupted || handle_interrupt();
}

}  // namespace coev::python
