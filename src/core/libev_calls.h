// The system calls of libev, which ends the process where one of them fails because of what a
// program has done with descriptors: closed libev's own, or made so many queues of events
// watch one another that the kernel takes no more. Here each such failure is an answer.
//
// libev's imports are redirected to functions of ours, once; everybody else's calls stay.
#pragma once

namespace coev {

// What the system calls of one loop have come to. THREAD: the loop's.
struct LibevCalls {
  int queue = -1;             // the kernel's queue of events: an epoll descriptor
  bool queue_failed = false;  // it is not one any more
  bool keeps_queue = false;   // its number is somebody else's by now: do not close it

  // Redirects the calls; only the first one does anything.
  static void install() noexcept;
};

// While it lives, libev's calls on this OS thread are those of `calls`.
class LibevScope {
 public:
  explicit LibevScope(LibevCalls& calls) noexcept;
  ~LibevScope();
  LibevScope(const LibevScope&) = delete;
  LibevScope& operator=(const LibevScope&) = delete;

 private:
  LibevCalls* before_;
};

}  // namespace coev
