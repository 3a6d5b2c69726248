// sqlite3: waiting for another connection's lock suspends only the coroutine.
//
// SQLite waits by the sleep function of its virtual file system, so that is what
// is exchanged: busy_timeout, WAL and backup() keep their own meaning. Meanwhile
// the connection is in the middle of a statement; natively its mutex keeps other
// threads out, here its methods do: a second coroutine waits for the first.
#pragma once

namespace coev::python::sqlite_methods {

// Now, or when the program imports sqlite3. False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::sqlite_methods
