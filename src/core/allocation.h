// Growing a container where memory may be missing.
//
// The core and what stands on it are compiled without exceptions: CPython before
// 3.14 ends an OS thread that wants the GIL of a dying interpreter by pthread_exit,
// which unwinds its stack. A noexcept function would then end the process, and a
// destructor would drop references without the GIL.
#pragma once

namespace coev::allocation {

using Function = void (*)(void* argument);

// Calls function(argument). False: an allocation in it failed, and it went no
// further; no destructor of its own has run.
[[nodiscard]] bool succeeds(Function function, void* argument) noexcept;

// Calls grow(), one operation of a standard container that leaves it as it was if
// it fails. False without memory.
template <class Grow>
[[nodiscard]] bool try_to(Grow grow) noexcept {
  return succeeds([](void* call) { (*static_cast<Grow*>(call))(); }, &grow);
}

}  // namespace coev::allocation
