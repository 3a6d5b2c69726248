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

// For callers in C. REQUIRES: `event` is an instance of threading.Event, not of a subclass.
// Whether nobody has asked for the Condition of `event`, which would have to be used.
[[nodiscard]] bool event_has_flag_alone(PyObject* event) noexcept;
// set(). REQUIRES: event_has_flag_alone(). SWITCHES: never. ERRORS: false with an exception set.
[[nodiscard]] bool set_event(PyObject* event) noexcept;

}  // namespace coev::python
