// The methods of _ssl._SSLSocket that wait for the peer, made to suspend the
// coroutine instead. ssl.SSLSocket and every existing object have them at once;
// ssl.SSLObject, over a MemoryBIO, never waits and stays as it is.
#pragma once

namespace coev::python::ssl_methods {

// Installs them now, or when the program imports ssl. False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::ssl_methods
