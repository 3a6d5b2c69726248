// Descriptors that may block: pipes, FIFOs, terminals, sockets, event and timer
// descriptors. Reading or writing one here suspends the coroutine instead of the
// OS thread.
//
// The open file keeps its mode, which other processes may share: the kernel is
// asked for each call not to block (RWF_NOWAIT, MSG_DONTWAIT). FIFOs and terminals
// do not know that and are asked first whether they are ready; should another
// process take what was there in between, the read blocks the OS thread.
//
// GIL: held in every function.
#pragma once

#include <Python.h>
#include <sys/uio.h>

#include "core/readiness.h"
#include "core/status.h"
#include "core/time.h"

namespace coev {
class Patience;
}

namespace coev::python {

class Descriptor {
 public:
  // `owner`, as in Readiness::wait, tells Readiness::forget() before it closes `fd`.
  explicit Descriptor(int fd, const void* owner = nullptr) noexcept : fd_(fd), owner_(owner) {}

  // Whether reading or writing may have to wait for somebody; regular files,
  // directories, disks and what is not open never do. Asks the kernel once.
  [[nodiscard]] bool waits() noexcept { return kind() != Kind::kDirect; }

  // What read() and write() return besides a number of bytes.
  static constexpr Py_ssize_t kFailed = -1;      // an exception is set
  static constexpr Py_ssize_t kWouldBlock = -2;  // and the kernel would not wait (longer)
  static constexpr Py_ssize_t kDirect = -3;      // not waits(): nothing was done

  // REQUIRES, of read() and write(): may_block(), and buffers of at least one byte.

  // Reads once, as readv(2) does.
  // SWITCHES: only if nothing is there, or the coroutine's quota is spent.
  [[nodiscard]] Py_ssize_t read(iovec* buffers, int count) noexcept;
  // Writes as writev(2) does: all, unless O_NONBLOCK is set, or the other side or
  // the descriptor goes away in the middle. `buffers` is used up.
  // SWITCHES: only if there is no room, or the coroutine's quota is spent.
  // ERRORS: kFailed with `*written` > 0: interrupted in the middle.
  [[nodiscard]] Py_ssize_t write(iovec* buffers, int count, Py_ssize_t* written) noexcept;

  // Whether somebody has a FIFO open to write, or had and has left its bytes.
  [[nodiscard]] bool has_writer() const noexcept;
  // Waits until is_ready(event). False with an exception set.
  [[nodiscard]] bool wait_until(unsigned event) noexcept;
  // Whether `event`, or an end or error, is there at this moment.
  [[nodiscard]] bool is_ready(unsigned event) const noexcept;
  // How many bytes a socket that is writable surely takes without blocking; no
  // limit for others, which take what they can.
  [[nodiscard]] std::size_t room() noexcept;
  [[nodiscard]] bool is_pipe() noexcept { return kind() == Kind::kPipe || kind() == Kind::kFifo; }
  [[nodiscard]] bool is_socket() noexcept { return kind() == Kind::kSocket; }
  [[nodiscard]] bool nonblocking() const noexcept;  // the user asked for O_NONBLOCK
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  enum class Kind { kUnknown, kDirect, kSocket, kPipe, kFifo, kTerminal, kOther };
  [[nodiscard]] static Kind kind_of(int fd) noexcept;
  [[nodiscard]] Kind kind() noexcept {
    if (kind_ == Kind::kUnknown) kind_ = kind_of(fd_);
    return kind_;
  }
  // ERRORS: kTimedOut: as the kernel's modes have it; kInterrupted with an exception set.
  [[nodiscard]] Status wait(unsigned event, Patience& patience) noexcept;
  [[nodiscard]] bool has_ended() const noexcept;
  [[nodiscard]] bool may_know_nowait() const noexcept;
  // One attempt that does not block, as the system call.
  [[nodiscard]] ssize_t try_read(const iovec* buffers, int count) noexcept;
  [[nodiscard]] ssize_t try_write(const iovec* buffers, int count) noexcept;
  [[nodiscard]] ssize_t write_little(const iovec* buffers, int count) const noexcept;
  [[nodiscard]] Py_ssize_t read_unknown(iovec* buffers, int count) noexcept;
  [[nodiscard]] Py_ssize_t read_known(const iovec* buffers, int count, bool nothing_there) noexcept;

  int fd_;
  const void* owner_;
  Deadline end_ = Deadline::never();  // of the call that waits
  Kind kind_ = Kind::kUnknown;
};

}  // namespace coev::python
