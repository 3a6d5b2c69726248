// What the native tests share: coroutines from lambdas, forked children,
// virtual time, socket pairs.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "core/sanitizer.h"
#include "core/scheduler.h"
#include "core/wait_queue.h"

namespace coev::testing {

#if defined(COEV_ASAN) || defined(COEV_TSAN)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

#ifdef COEV_VALGRIND
inline bool under_valgrind() { return RUNNING_ON_VALGRIND != 0; }
#else
inline bool under_valgrind() { return false; }
#endif

// Tools that slow everything down, or bound how many stacks there can be.
inline bool slow() { return kSanitized || under_valgrind(); }

inline constexpr std::int64_t kMillisecond = 1'000'000;
inline constexpr std::int64_t kSecond = 1'000'000'000;

inline Deadline in_ms(std::int64_t ms) { return Deadline::after(ms * kMillisecond); }
inline Deadline passed() { return Deadline::at(0); }
inline Scheduler& here() { return Scheduler::get(); }
inline Status sleep_ms(std::int64_t ms) { return here().sleep_until(in_ms(ms)); }

// Lets everybody who is ready run, `turns` times.
inline void yield_turns(int turns) {
  for (int i = 0; i < turns; ++i) static_cast<void>(here().yield());
}

// Coroutines of this OS thread that a test waits for.
class Group {
 public:
  Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() { join(); }

  Coroutine& spawn(std::function<void()> body) {
    auto* start = new Start{this, std::move(body)};
    Coroutine* coroutine = here().spawn(run, start, nullptr);
    if (coroutine == nullptr) std::abort();
    ++live_;
    return *coroutine;
  }

  void join() {
    while (live_ > 0) static_cast<void>(here().park(joiners_, Deadline::never()));
  }

  [[nodiscard]] int live() const { return live_; }

 private:
  struct Start {
    Group* group;
    std::function<void()> body;
  };
  static void run(void* argument) {
    auto* start = static_cast<Start*>(argument);
    Group* group = start->group;
    start->body();
    delete start;
    --group->live_;
    if (Coroutine* joiner = group->joiners_.claim_first()) Scheduler::wake(*joiner);
  }

  int live_ = 0;
  WaitQueue joiners_;
};

// Runs `body` on an OS thread of its own, with a scheduler of its own.
template <typename Body>
void on_new_thread(Body body) {
  std::thread(std::move(body)).join();
}

// Forks, runs `body` in the child and returns the child's wait status. The
// child exits with what `body` returns.
template <typename Body>
int status_of_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  while (waitpid(child, &status, 0) < 0) {
  }
  return status;
}

inline bool exited_with(int status, int code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

// A sanitizer turns the signal into a report and an exit code.
inline bool died_of_bad_access(int status) {
  if (kSanitized) return !exited_with(status, 0);
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

// The clock stands still while somebody is ready, and jumps when nobody is.
class VirtualTime {
 public:
  VirtualTime() { virtual_time::enable(true); }
  ~VirtualTime() { virtual_time::enable(false); }
  VirtualTime(const VirtualTime&) = delete;
  VirtualTime& operator=(const VirtualTime&) = delete;
};

class SocketPair {
 public:
  SocketPair() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_) != 0) std::abort();
  }
  ~SocketPair() {
    close_one(0);
    close_one(1);
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;

  [[nodiscard]] int near() const { return fds_[0]; }
  [[nodiscard]] int far() const { return fds_[1]; }
  void close_near() { close_one(0); }
  void close_far() { close_one(1); }
  void write_far(const char* text, std::size_t bytes) const {
    if (::write(fds_[1], text, bytes) != static_cast<ssize_t>(bytes)) std::abort();
  }
  void write_far(char byte) const { write_far(&byte, 1); }
  void fill_near() const {  // until it takes no more
    const std::vector<char> block(4096, 'f');
    while (::write(fds_[0], block.data(), block.size()) > 0) {
    }
  }
  void drain_far() const {
    std::vector<char> block(65536);
    while (::read(fds_[1], block.data(), block.size()) > 0) {
    }
  }

 private:
  void close_one(int side) {
    if (fds_[side] >= 0) {
      Readiness::forget(fds_[side]);
      ::close(fds_[side]);
    }
    fds_[side] = -1;
  }
  int fds_[2] = {-1, -1};
};

}  // namespace coev::testing
