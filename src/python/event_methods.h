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

}  // namespace coev::python
