// The signal masks of coroutines: signal.pthread_sigmask().
//
// The OS thread has the mask of its main coroutine, and so what the kernel sends to
// the process goes to that one, as it does with threads. Any other coroutine has a
// mask of its own from the first time it asks for one, which only it sees: a thread
// that blocks every signal for itself keeps none from the rest.
#pragma once

namespace coev::python::signal_masks {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::signal_masks
