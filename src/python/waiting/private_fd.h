// PrivateFd: a file descriptor that only a wait of coev's knows of.
//
// Closed at the end of the wait, and in the child of a fork, where the wait does
// not exist. The program may close it (os.closerange), which ends the wait early.
// GIL: held.
#pragma once

#include "core/intrusive_list.h"
#include "core/status.h"
#include "core/time.h"

namespace coev::python {

class PrivateFd : public ListLink {
 public:
  // Takes over `fd`, which is closed on exec; -1 for none.
  explicit PrivateFd(int fd) noexcept;
  ~PrivateFd();
  PrivateFd(const PrivateFd&) = delete;
  PrivateFd& operator=(const PrivateFd&) = delete;
  explicit operator bool() const noexcept { return fd_ >= 0; }

  // Waits until it is readable, or somebody has closed it.
  // SWITCHES: always. ERRORS: kTimedOut, kNoMemory, kInterrupted with an exception set.
  Status wait_readable(Deadline deadline = Deadline::never()) noexcept;

 private:
  static void close_all() noexcept;  // in the child of a fork

  int fd_;
};

}  // namespace coev::python
