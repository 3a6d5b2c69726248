// Subinterpreters: running code in one suspends only the coroutine.
//
// Nothing of coev works inside a subinterpreter, so what blocks in there blocks an
// OS thread. It gets one of its own: calls that run code in a subinterpreter, or
// wait for one, are made on a thread of the offload pool, and beyond the pool's
// limit, for they may wait for one another. Only what the main coroutine runs stays
// on the main thread, which threading in the subinterpreter takes for its own.
#pragma once

namespace coev::python::interpreters {

// Once; further calls do nothing. False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::interpreters
