// What the methods of threading.Event do once they mean coroutines; coev/_threading.py
// has them call this.
//
// An Event keeps its flag where it always did. Whoever waits for it is found by the
// address of the Event, so that it needs no Condition, with its lock and its deque of
// half a KiB; one whose Condition somebody has asked for works by that one, as ever.
#pragma once

#include <Python.h>

namespace coev::python {

extern PyMethodDef event_functions[];

// The same without a call from Python. REQUIRES: `event` is an instance of threading.Event
// and of no class of its own.
// Whether it is set; -1, without an exception, if its Condition has to be used.
[[nodiscard]] int event_flag(PyObject* event) noexcept;
// set() and wait(). REQUIRES: event_flag() is not -1. SWITCHES: wait_for_event() only if it
// is not set. ERRORS: false with an exception set.
[[nodiscard]] bool set_event(PyObject* event) noexcept;
[[nodiscard]] bool wait_for_event(PyObject* event) noexcept;

}  // namespace coev::python
