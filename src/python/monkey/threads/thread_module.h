// The functions of _thread, time.sleep() and what takes a thread's ident, made
// to mean coroutines.
#pragma once

#include <Python.h>

#include "python/waiting/coroutine_object.h"

namespace coev::python::thread_module {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

// _thread._ThreadHandle as of 3.13, for coroutines.
[[nodiscard]] bool add_handle_type(PyObject* module) noexcept;

// _make_thread_handle(ident): a handle of a thread that runs already.
PyObject* make_running_handle(unsigned long ident) noexcept;

// What _start_new_thread(function, ()) and, from 3.13 on, _start_joinable_thread(function,
// handle=, daemon=) start. New reference. SWITCHES: unless an audit hook does, never.
// ERRORS: nullptr with an exception set.
[[nodiscard]] CoroutineObject* start_new(PyObject* function) noexcept;
[[nodiscard]] CoroutineObject* start_joinable(PyObject* function, PyObject* handle,
                                              bool daemon) noexcept;

// Whether `object` is such a handle, of a coroutine that has ended.
[[nodiscard]] bool coroutine_has_ended(PyObject* object) noexcept;

}  // namespace coev::python::thread_module
