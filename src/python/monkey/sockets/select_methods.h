// select.select(), the poll() of select.poll objects and of select.epoll, made to
// suspend the coroutine instead of the OS thread; so the selectors and asyncio
// too, which are made from them.
#pragma once

#include <Python.h>

namespace coev::python::select_methods {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::select_methods
