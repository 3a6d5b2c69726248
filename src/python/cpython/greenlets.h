// Greenlets in coroutines: greenlet keeps those of a thread in thread-local variables of its
// own, which each coroutine gets for itself. So SQLAlchemy's asyncio and Playwright's
// synchronous functions work in several coroutines, as they do in several threads.
#pragma once

namespace coev::python::greenlets {

// As soon as greenlet is imported. False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::greenlets
