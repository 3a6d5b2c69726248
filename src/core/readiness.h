// Readiness: who waits for which fd of one scheduler.
//
// A table indexed by fd. Waiters of one fd queue up, and each look at the
// kernel wakes the longest waiting reader and the longest waiting writer; the
// kernel is asked level-triggered, so nobody is forgotten.
//
// A watcher stays started after a wake when the fd has an owner (an object that
// promises to call forget() before the fd is closed or reused): a
// request/response connection then costs no epoll_ctl a request. Without an
// owner the fd might be closed and reused behind our back, so each wait
// registers it anew.
//
// Some fds the kernel does not watch: regular files, queues of events that watch one another
// too deep, and all while there is no loop. Who waits for one looks now and then.
//
// THREAD: the owning scheduler's, except forget() and forget_range().
#pragma once

#include <ev.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/coroutine.h"
#include "core/intrusive_list.h"
#include "core/loop.h"
#include "core/status.h"
#include "core/time.h"
#include "core/wait_queue.h"

namespace coev {

class Scheduler;
struct Coroutine;

inline constexpr unsigned kReadable = EV_READ;
inline constexpr unsigned kWritable = EV_WRITE;
inline constexpr unsigned kPermit = 4;  // of no fd: Scheduler::unpark() ends the wait
static_assert((kPermit & (kReadable | kWritable)) == 0);

// One of several fds that a coroutine waits for at once.
struct Watch : ListLink {
  int fd = -1;
  unsigned events = 0;             // none: only that the fd is closed
  Coroutine* coroutine = nullptr;  // set by wait_any()
};

// The fds that other OS threads have closed since the scheduler looked: one message for all, and
// each fd once, because it may be long until the scheduler looks again. THREAD: any.
class ClosedElsewhere : public Message {
 public:
  using Fds = std::unordered_map<int, const void*>;  // with the owner of Readiness::forget()

  // True: the message is to be posted. Without memory the fd is lost.
  [[nodiscard]] bool add(int fd, const void* owner) noexcept;
  [[nodiscard]] Fds take() noexcept;
  void reset() noexcept;  // after fork

 private:
  SpinLock guard_;
  Fds fds_;
  bool under_way_ = false;
};

class Readiness {
 public:
  Readiness(Scheduler& scheduler, Loop& loop) noexcept;
  ~Readiness() = default;
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  // Waits until `fd` has one of `events` (kReadable | kWritable), has failed or
  // hung up. `*ready` gets the events seen. `owner` may be nullptr.
  // With kPermit among the events the wait takes the permit that unpark() gives,
  // perhaps has given before, and ends; kPermit is then among the events seen.
  // SWITCHES: always, unless a permit is there already or the wait ends before
  // anybody else is ready.
  // ERRORS: kTimedOut, kInterrupted, kClosed (forget() was called, or fd is not
  // open), kNoMemory.
  Status wait(int fd, unsigned events, Deadline deadline, const void* owner,
              unsigned* ready) noexcept;

  // Waits until any of `watches` has its events, has failed, hung up or been
  // closed. Unlike wait() it takes no turns with others: everybody who watches
  // an fd is woken, so the caller has to look for itself, as after poll(2). What is
  // known about an owner stays.
  // SWITCHES, ERRORS: as wait(). O(watches).
  Status wait_any(std::span<Watch> watches, Deadline deadline) noexcept;

  // A hint for stream sockets: a short read has emptied `fd`, so a reader
  // should wait before it tries again. Cleared by the next readiness.
  void set_drained(int fd, const void* owner) noexcept;
  [[nodiscard]] bool drained(int fd, const void* owner) noexcept;

  // `fd` is about to be closed, or was just opened: every waiter of every
  // scheduler wakes with kClosed, and nothing known about `fd` survives.
  // With an `owner`, only where `fd` is that owner's: its number may serve
  // somebody else by now. THREAD: any.
  static void forget(int fd, const void* owner = nullptr) noexcept;
  // The same for all from `low` to `high` - 1 that anybody has waited for.
  static void forget_range(int low, int high) noexcept;

  // How often `fd` was forgotten here, modulo 65536. Who was interrupted and waits
  // again compares: it was in no queue when forget() looked for waiters.
  [[nodiscard]] std::uint16_t forgotten(int fd) noexcept;

  // Call before each look at the kernel. Waiters of an fd that was closed without
  // forget() wake with kClosed: libev ends the process where it finds such an fd
  // itself.
  void drop_closed() noexcept {
    if (changed_ != nullptr) check_changed();
  }

  // After fork, with a loop recreated.
  void reset() noexcept;
  // With another loop, of which nobody's waits know: they go on there.
  void renew() noexcept;

 private:
  // Two cache lines: among thousands of fds each one is a miss.
  struct alignas(64) Entry {
    ev_io reader;
    const void* owner = nullptr;
    Entry* next_changed = nullptr;

    WaitQueue waiters;
    IntrusiveList<Watch> watches;   // each on the stack or heap of who waits in wait_any()
    std::unique_ptr<ev_io> writer;  // made by the first who waits to write
    int fd = -1;
    std::uint16_t forgotten = 0;
    bool drained = false;
    bool changed = false;  // in the list that begins at changed_
  };
  static_assert(sizeof(Entry) == 128);
  // Neighbours are made together: an index of single entries would be a miss as well.
  static constexpr std::size_t kBlockEntries = 16;
  using Block = std::array<Entry, kBlockEntries>;

  static constexpr std::int64_t kGlanceNs = 5'000'000;
  [[nodiscard]] static Status glance(int fd, unsigned events, unsigned* seen) noexcept;
  [[nodiscard]] Status wait_by_glances(Entry& entry, unsigned events, Deadline deadline,
                                       unsigned* ready) noexcept;
  void refuse(Entry& entry) noexcept;
  void watch_renewal() noexcept;
  void drop_all_closed() noexcept;
  [[nodiscard]] static bool is_watched(const Entry& entry) noexcept;
  [[nodiscard]] static bool is_watched_in_vain(const Entry& entry) noexcept;
  [[nodiscard]] Entry* find(int fd) noexcept;
  [[nodiscard]] Status find_or_add(int fd, Entry** entry) noexcept;
  [[nodiscard]] Status watch(Entry& entry, unsigned events, bool kept) noexcept;
  [[nodiscard]] static bool make_writer(Entry& entry) noexcept;
  void start(Entry& entry, ev_io& watcher, unsigned event, bool kept) noexcept;
  void stop(Entry& entry, ev_io& watcher) noexcept;
  void note_change(Entry& entry) noexcept;
  void check_changed() noexcept;
  [[nodiscard]] static bool is_wanted(Entry& entry, unsigned event) noexcept;
  [[nodiscard]] Status begin_watch(Watch& watch) noexcept;
  void end_watch(Watch& watch) noexcept;
  bool wake_watchers(Entry& entry, unsigned events, Status status) noexcept;
  void stop_unused(Entry& entry) noexcept;
  void forget_here(int fd, const void* owner = nullptr) noexcept;
  void on_event(Entry& entry, ev_io& watcher, unsigned events) noexcept;
  static void io_event(struct ev_loop* loop, ev_io* watcher, int events) noexcept;

  static void closed_elsewhere(Message& message) noexcept;

  struct Closed : ClosedElsewhere {
    Readiness* readiness = nullptr;
  };

  Scheduler& scheduler_;  // not owned
  Loop& loop_;            // not owned
  ev_fork renewal_;       // called before libev tells a new kernel queue all fds
  WaitQueue watchers_;    // suspended in wait_any()
  // By fd; made where one was waited for. They keep their address: libev links them.
  std::vector<std::unique_ptr<Block>> blocks_;
  Entry* changed_ = nullptr;  // what libev will tell the kernel next

  Closed closed_;
};

}  // namespace coev
