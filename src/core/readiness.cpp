#include "core/readiness.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <new>
#include <utility>

#include "core/allocation.h"
#include "core/registry.h"
#include "core/scheduler.h"

namespace coev {
namespace {

bool is_open(int fd) noexcept { return fcntl(fd, F_GETFD) != -1; }

// The longest waiter that waits for one of `events`.
Coroutine* first_for(WaitQueue& waiters, unsigned events) noexcept {
  for (Coroutine* c = waiters.first(); c != nullptr; c = waiters.next(*c)) {
    if ((c->wait_events & events) != 0) return c;
  }
  return nullptr;
}

}  // namespace

Readiness::Readiness(Scheduler& scheduler, Loop& loop) noexcept
    : scheduler_(scheduler), loop_(loop) {
  closed_.run = closed_elsewhere;
  closed_.readiness = this;
  watch_renewal();
}

void Readiness::reset() noexcept {
  changed_ = nullptr;
  blocks_.clear();
  closed_.reset();
  watch_renewal();
}

void Readiness::renew() noexcept {
  changed_ = nullptr;
  watch_renewal();
  for (const std::unique_ptr<Block>& block : blocks_) {
    if (block == nullptr) continue;
    for (Entry& entry : *block) {
      entry.owner = nullptr;
      entry.drained = entry.changed = false;
      ev_init(&entry.reader, io_event);
      if (entry.writer != nullptr) ev_init(entry.writer.get(), io_event);
      if (is_wanted(entry, kReadable)) start(entry, entry.reader, kReadable, false);
      if (is_wanted(entry, kWritable)) start(entry, *entry.writer, kWritable, false);
    }
  }
}

// libev makes a new queue also without a fork: when the kernel tells of an fd that was
// closed here, while another process has the same file open.
void Readiness::watch_renewal() noexcept {
  if (loop_.native() == nullptr) return;
  ev_set_userdata(loop_.native(), this);
  ev_fork_init(&renewal_, [](struct ev_loop*, ev_fork* renewal, int) noexcept {
    static_cast<Readiness*>(renewal->data)->drop_all_closed();
  });
  renewal_.data = this;
  ev_fork_start(loop_.native(), &renewal_);
}

// A watcher may outlast its fd if that was closed without forget() while nobody waited.
void Readiness::drop_all_closed() noexcept {
  for (const std::unique_ptr<Block>& block : blocks_) {
    if (block == nullptr) continue;
    for (const Entry& entry : *block) {
      if (is_watched_in_vain(entry)) forget_here(entry.fd);
    }
  }
}

bool Readiness::is_watched(const Entry& entry) noexcept {
  return ev_is_active(&entry.reader) ||
         (entry.writer != nullptr && ev_is_active(entry.writer.get()));
}

bool Readiness::is_watched_in_vain(const Entry& entry) noexcept {
  return is_watched(entry) && !is_open(entry.fd);
}

Readiness::Entry* Readiness::find(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  if (fd < 0 || index / kBlockEntries >= blocks_.size()) return nullptr;
  Block* block = blocks_[index / kBlockEntries].get();
  return block == nullptr ? nullptr : &(*block)[index % kBlockEntries];
}

// ERRORS: kClosed, kNoMemory.
Status Readiness::find_or_add(int fd, Entry** entry) noexcept {
  *entry = find(fd);
  if (*entry != nullptr) return Status::kOk;
  // A number that nobody opened may be too large for tables, ours and libev's.
  if (!is_open(fd)) return Status::kClosed;
  const auto index = static_cast<std::size_t>(fd) / kBlockEntries;
  const bool added = allocation::try_to([&] {
    if (index >= blocks_.size()) blocks_.resize(index + index / 2 + 4);
    blocks_[index] = std::make_unique<Block>();
  });
  if (!added) return Status::kNoMemory;
  int of = static_cast<int>(index * kBlockEntries);
  for (Entry& made : *blocks_[index]) {
    made.fd = of++;
    ev_init(&made.reader, io_event);
    made.reader.data = &made;
  }
  *entry = find(fd);
  return Status::kOk;
}

bool Readiness::make_writer(Entry& entry) noexcept {
  if (entry.writer != nullptr) return true;
  if (!allocation::try_to([&] { entry.writer = std::make_unique<ev_io>(); })) return false;
  ev_init(entry.writer.get(), io_event);
  entry.writer->data = &entry;
  return true;
}

// ERRORS: kNoMemory.
Status Readiness::watch(Entry& entry, unsigned events, bool kept) noexcept {
  if ((events & kReadable) != 0) start(entry, entry.reader, kReadable, kept);
  if ((events & kWritable) == 0) return Status::kOk;
  if (!make_writer(entry)) return Status::kNoMemory;
  start(entry, *entry.writer, kWritable, kept);
  return Status::kOk;
}

// libev skips the kernel when a watcher comes back unchanged, unless it was set
// anew: that is the difference between a kept and an unowned registration.
void Readiness::start(Entry& entry, ev_io& watcher, unsigned event, bool kept) noexcept {
  if (loop_.native() == nullptr) [[unlikely]]
    return;
  if (ev_is_active(&watcher)) {
    if (kept) return;
    ev_io_stop(loop_.native(), &watcher);
  }
  ev_io_set(&watcher, entry.fd, static_cast<int>(event));
  ev_io_start(loop_.native(), &watcher);
  note_change(entry);
}

void Readiness::stop(Entry& entry, ev_io& watcher) noexcept {
  if (!ev_is_active(&watcher)) return;
  ev_io_stop(loop_.native(), &watcher);
  note_change(entry);
}

void Readiness::note_change(Entry& entry) noexcept {
  if (entry.changed) return;
  entry.changed = true;
  entry.next_changed = changed_;
  changed_ = &entry;
}

void Readiness::check_changed() noexcept {
  while (changed_ != nullptr) {
    Entry& entry = *changed_;
    changed_ = entry.next_changed;
    entry.changed = false;
    if (is_watched_in_vain(entry)) forget_here(entry.fd);
  }
}

bool Readiness::is_wanted(Entry& entry, unsigned event) noexcept {
  if (first_for(entry.waiters, event) != nullptr) return true;
  for (Watch* watch = entry.watches.first(); watch != nullptr; watch = entry.watches.next(*watch)) {
    if ((watch->events & event) != 0) return true;
  }
  return false;
}

void Readiness::stop_unused(Entry& entry) noexcept {
  if (!is_wanted(entry, kReadable)) stop(entry, entry.reader);
  if (entry.writer != nullptr && !is_wanted(entry, kWritable)) stop(entry, *entry.writer);
}

Status Readiness::wait(int fd, unsigned events, Deadline deadline, const void* owner,
                       unsigned* ready) noexcept {
  scheduler_.run_messages();  // a forget() or unpark() of another OS thread must come first
  Coroutine& self = scheduler_.current();
  const bool takes_permit = (events & kPermit) != 0;
  if (takes_permit && std::exchange(self.permit, false)) {
    if (ready != nullptr) *ready = kPermit;
    return Status::kOk;
  }
  Entry* entry = nullptr;
  if (const Status found = find_or_add(fd, &entry); found != Status::kOk) return found;
  const bool kept = owner != nullptr && entry->owner == owner;
  if (!kept) {
    entry->owner = owner;
    entry->drained = false;
  }
  if (const Status watched = watch(*entry, events, kept); watched != Status::kOk) return watched;
  self.wait_events = static_cast<std::uint16_t>(events);
  if (loop_.native() == nullptr) return wait_by_glances(*entry, events, deadline, ready);
  const Status status = scheduler_.park(entry->waiters, deadline);
  __builtin_prefetch(owner);  // among thousands a miss, which the next system call hides
  // on_event() left in wait_events what it saw, and unpark() kPermit alone.
  unsigned seen = self.wait_events;
  self.wait_events = 0;
  if (status == Status::kOk && seen == 0) [[unlikely]] {  // the fd cannot be watched
    return wait_by_glances(*entry, events, deadline, ready);
  }
  if (takes_permit && status == Status::kOk && std::exchange(self.permit, false)) seen |= kPermit;
  if (ready != nullptr) *ready = status == Status::kOk ? seen : 0;
  if (entry->owner == nullptr) stop_unused(*entry);
  return status;
}

// The events of `fd` at this moment, or kClosed.
Status Readiness::glance(int fd, unsigned events, unsigned* seen) noexcept {
  const int asked =
      ((events & kReadable) != 0 ? POLLIN : 0) | ((events & kWritable) != 0 ? POLLOUT : 0);
  pollfd look{fd, static_cast<short>(asked), 0};
  *seen = 0;
  if (::poll(&look, 1, 0) <= 0) return Status::kOk;
  if ((look.revents & POLLNVAL) != 0) return Status::kClosed;
  constexpr int kBoth = POLLERR | POLLHUP;
  if ((look.revents & (POLLIN | kBoth)) != 0) *seen |= events & kReadable;
  if ((look.revents & (POLLOUT | kBoth)) != 0) *seen |= events & kWritable;
  return Status::kOk;
}

Status Readiness::wait_by_glances(Entry& entry, unsigned events, Deadline deadline,
                                  unsigned* ready) noexcept {
  Coroutine& self = scheduler_.current();
  for (;;) {
    unsigned seen = 0;
    Status status = glance(entry.fd, events, &seen);
    if ((events & kPermit) != 0 && std::exchange(self.permit, false)) seen |= kPermit;
    if (status != Status::kOk || seen != 0) {
      if (ready != nullptr) *ready = seen;
      return status;
    }
    if (deadline.passed()) return Status::kTimedOut;
    self.wait_events = static_cast<std::uint16_t>(events);
    status = scheduler_.park(entry.waiters, std::min(deadline, Deadline::after(kGlanceNs)));
    self.wait_events = 0;
    if (status != Status::kTimedOut && status != Status::kOk) return status;
  }
}

Status Readiness::begin_watch(Watch& watch) noexcept {
  Entry* entry = nullptr;
  if (const Status found = find_or_add(watch.fd, &entry); found != Status::kOk) return found;
  watch.coroutine = &scheduler_.current();
  // Anew: whoever owns the entry need not be who is asking.
  const Status watched = this->watch(*entry, watch.events, false);
  if (watched != Status::kOk) return watched;
  entry->watches.push_back(watch);
  return Status::kOk;
}

void Readiness::end_watch(Watch& watch) noexcept {
  if (!watch.linked()) return;
  watch.unlink();
  Entry* entry = find(watch.fd);
  if (entry->owner == nullptr) stop_unused(*entry);
}

Status Readiness::wait_any(std::span<Watch> watches, Deadline deadline) noexcept {
  scheduler_.run_messages();  // a forget() of another OS thread must come first
  Status status = Status::kOk;
  for (Watch& watch : watches) {
    status = begin_watch(watch);
    if (status != Status::kOk) break;
  }
  const bool blind = loop_.native() == nullptr;  // the caller has to look again
  const Deadline end = blind ? std::min(deadline, Deadline::after(kGlanceNs)) : deadline;
  if (status == Status::kOk) status = scheduler_.park(watchers_, end);
  if (blind && status == Status::kTimedOut) status = Status::kOk;
  for (Watch& watch : watches) end_watch(watch);
  return status;
}

// Whether anybody was there to be woken: who has been woken but did not run yet
// is still among the watches.
bool Readiness::wake_watchers(Entry& entry, unsigned events, Status status) noexcept {
  bool woken = false;
  for (Watch* watch = entry.watches.first(); watch != nullptr; watch = entry.watches.next(*watch)) {
    Coroutine& coroutine = *watch->coroutine;
    const bool waits = coroutine.state == CoroutineState::kParked &&
                       coroutine.queue == &watchers_ && coroutine.linked();
    if (!waits || (status == Status::kOk && (watch->events & events) == 0)) continue;
    watchers_.remove(coroutine);
    Scheduler::wake(coroutine, status);
    woken = true;
  }
  return woken;
}

void Readiness::set_drained(int fd, const void* owner) noexcept {
  Entry* entry = nullptr;
  if (owner == nullptr || find_or_add(fd, &entry) != Status::kOk) return;
  // An owner that has not waited yet has no watcher: its first wait starts one anew.
  if (!is_watched(*entry)) entry->owner = owner;
  if (entry->owner == owner) entry->drained = true;
}

bool Readiness::drained(int fd, const void* owner) noexcept {
  Entry* entry = find(fd);
  return entry != nullptr && entry->drained && entry->owner == owner;
}

void Readiness::io_event(struct ev_loop* loop, ev_io* watcher, int events) noexcept {
  auto& entry = *static_cast<Entry*>(watcher->data);
  static_cast<Readiness*>(ev_userdata(loop))
      ->on_event(entry, *watcher, static_cast<unsigned>(events));
}

void Readiness::on_event(Entry& entry, ev_io& watcher, unsigned events) noexcept {
  if ((events & EV_ERROR) != 0) {  // libev has stopped the watcher
    if (is_open(entry.fd)) {
      refuse(entry);
    } else {
      forget_here(entry.fd);
    }
    return;
  }
  if ((events & kReadable) != 0) entry.drained = false;
  const bool watched = wake_watchers(entry, events, Status::kOk);
  Coroutine* waiter = first_for(entry.waiters, events);
  if (waiter == nullptr) {
    if (!watched) stop(entry, watcher);
    return;
  }
  entry.waiters.remove(*waiter);
  waiter->wait_events &= events;
  Scheduler::wake(*waiter);
}

std::uint16_t Readiness::forgotten(int fd) noexcept {
  const Entry* entry = find(fd);
  return entry == nullptr ? 0 : entry->forgotten;
}

// The kernel does not watch the fd: whoever waits for it looks for itself.
void Readiness::refuse(Entry& entry) noexcept {
  entry.owner = nullptr;
  while (Coroutine* waiter = entry.waiters.claim_first()) {
    waiter->wait_events = 0;
    Scheduler::wake(*waiter);
  }
  wake_watchers(entry, kReadable | kWritable, Status::kOk);
}

void Readiness::forget_here(int fd, const void* owner) noexcept {
  Entry* entry = find(fd);
  if (entry == nullptr || (owner != nullptr && entry->owner != owner)) return;
  ++entry->forgotten;
  entry->owner = nullptr;
  entry->drained = false;
  stop(*entry, entry->reader);
  if (entry->writer != nullptr) stop(*entry, *entry->writer);
  while (Coroutine* waiter = entry->waiters.claim_first()) {
    Scheduler::wake(*waiter, Status::kClosed);
  }
  wake_watchers(*entry, 0, Status::kClosed);
}

bool ClosedElsewhere::add(int fd, const void* owner) noexcept {
  guard_.lock();
  const auto note = [&] {
    const auto [known, is_new] = fds_.try_emplace(fd, owner);
    if (!is_new && known->second != nullptr) known->second = owner;
  };
  const bool noted = allocation::try_to(note);
  const bool must_post = noted && !std::exchange(under_way_, true);
  guard_.unlock();
  return must_post;
}

ClosedElsewhere::Fds ClosedElsewhere::take() noexcept {
  Fds taken;
  guard_.lock();
  taken.swap(fds_);
  under_way_ = false;
  guard_.unlock();
  return taken;
}

void ClosedElsewhere::reset() noexcept {
  guard_.reset();
  new (&fds_) Fds;  // another thread may have been in the middle of a change
  under_way_ = false;
}

void Readiness::closed_elsewhere(Message& message) noexcept {
  auto& closed = static_cast<Closed&>(message);
  for (const auto& [fd, owner] : closed.take()) closed.readiness->forget_here(fd, owner);
}

void Readiness::forget_range(int low, int high) noexcept {
  std::size_t most = 0;
  for_each_scheduler([&](Scheduler& scheduler) {
    scheduler.loop().lose_range(low, high);
    most = std::max(most, scheduler.readiness().blocks_.size());
  });
  const auto end = static_cast<std::int64_t>(most * kBlockEntries);
  for (std::int64_t fd = std::max(low, 0); fd < std::min<std::int64_t>(high, end); ++fd) {
    forget(static_cast<int>(fd));
  }
}

void Readiness::forget(int fd, const void* owner) noexcept {
  Scheduler* here = Scheduler::find();
  if (here != nullptr) {
    if (owner == nullptr) here->loop().lose(fd);
    here->readiness().forget_here(fd, owner);
  }
  if (Scheduler::count() <= (here != nullptr ? 1U : 0U)) return;
  for_each_scheduler([&](Scheduler& scheduler) {
    if (&scheduler == here) return;
    if (owner == nullptr) scheduler.loop().lose(fd);
    ClosedElsewhere& closed = scheduler.readiness().closed_;
    if (closed.add(fd, owner)) scheduler.post(closed);
  });
}

}  // namespace coev
