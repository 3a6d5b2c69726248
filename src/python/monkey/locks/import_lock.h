// The import lock: the recursive one underneath importlib's locks of modules, and
// imp.acquire_lock(), made to belong to a coroutine and not to the OS thread that
// all share.
//
// A fork waits until nobody else holds it, so that the child finds no module half
// imported.
#pragma once

namespace coev::python::import_lock {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::import_lock
