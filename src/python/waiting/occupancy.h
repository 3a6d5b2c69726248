// Occupancy: which coroutine is inside which object that lets in one at a time.
//
// Some objects of CPython lock themselves, and remember the OS thread that is inside, such as
// io.BufferedReader. When a second coroutine of that OS thread calls, CPython takes it for the
// first one and raises "reentrant call". A Visit around each such call makes the second
// coroutine wait until the first has left. A coroutine that calls from inside its own call is
// let through, because CPython's error is then right.
//
// Fairness: whoever leaves hands over to the longest waiter, of any OS thread.
// Cost: a few nanoseconds and no memory while nobody waits.
// GIL: held in every function; it guards the table.
#pragma once

#include <Python.h>

namespace coev::python {

class Visit {
 public:
  // SWITCHES: only if another coroutine is inside `object`.
  // ERRORS: refused() with an exception set.
  explicit Visit(const void* object) noexcept;
  ~Visit() {
    if (inside_) leave();
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  [[nodiscard]] bool refused() const noexcept { return refused_; }

  // Whether the current coroutine is inside any object. Slow.
  [[nodiscard]] static bool under_way() noexcept;

 private:
  friend struct Occupants;
  [[nodiscard]] bool wait() noexcept;
  void leave() noexcept;

  const void* object_;
  PyThreadState* visitor_;
  Visit* next_ = nullptr;  // in the same bucket
  bool inside_ = false;
  bool awaited_ = false;  // somebody waits for the end
  bool refused_ = false;
};

}  // namespace coev::python
