#include "pool.h"

#include <new>

#include "errors.h"
#include "protocol.h"

namespace evmemcached {

namespace {

// A connection idle for longer is looked at before it is used.
constexpr std::int64_t kTrustedIdleNs = 1'000'000'000;

// Whether an idle connection is open and silent, as it must be. What it owed and has
// come is read.
bool is_healthy(Connection& connection) noexcept {
  for (;;) {
    const Moved moved = connection.receive();
    if (moved == Moved::kException) PyErr_Clear();  // it is dropped, and that is all
    if (moved == Moved::kWouldBlock) return true;
    if (moved != Moved::kSome) return false;
    while (!connection.input.empty()) {
      Reply reply;
      std::size_t used = 0;
      const Parsing parsing = parse_reply(connection.input.view(), &reply, &used);
      if (parsing == Parsing::kNeedsMore && connection.owed > 0) break;
      if (parsing != Parsing::kReply || connection.owed == 0) return false;
      connection.input.consume(used);
      --connection.owed;
    }
  }
}

}  // namespace

// A coroutine that queues up, on its own stack.
struct Pool::Waiter {
  coev_lock* lock = nullptr;  // held until somebody gives a place
  Connection* given = nullptr;
  bool queued = false;
  Waiter* next = nullptr;
  Waiter* previous = nullptr;
};

// --- lease -----------------------------------------------------------------------------

void Lease::give_back(std::int64_t now) noexcept {
  Connection* connection = std::exchange(connection_, nullptr);
  if (connection == nullptr) return;
  if (generation_ != coev->fork_generation()) {
    delete connection;
    return;
  }
  if (Pool::Waiter* waiter = pool_->next_waiter()) {
    waiter->given = connection;
    coev->lock_release(waiter->lock);
  } else {
    pool_->push_idle(*connection, now);
  }
}

void Lease::drop() noexcept {
  Connection* connection = std::exchange(connection_, nullptr);
  if (connection == nullptr) return;
  delete connection;
  if (generation_ != coev->fork_generation()) return;
  ++pool_->counters_.drops;
  pool_->free_place();
}

// --- pool ------------------------------------------------------------------------------

Pool::Pool(PyObject* connect, const PoolLimits& limits) noexcept
    : connect_(Py_NewRef(connect)), limits_(limits) {}

Pool::~Pool() {
  close_idle();
  Py_DECREF(connect_);
}

// The parent's waiters exist in the parent only; its connections, too, but copies of
// their fds are open here.
void Pool::forget_if_forked() noexcept {
  if (generation_ == coev->fork_generation()) return;
  generation_ = coev->fork_generation();
  first_ = last_ = nullptr;
  waiting_ = 0;
  while (newest_ != nullptr) {
    Connection* connection = newest_;
    unlink(*connection);
    delete connection;
  }
  open_ = 0;
}

void Pool::unlink(Connection& connection) noexcept {
  (connection.newer != nullptr ? connection.newer->older : newest_) = connection.older;
  (connection.older != nullptr ? connection.older->newer : oldest_) = connection.newer;
  connection.newer = connection.older = nullptr;
  --idle_;
}

void Pool::push_idle(Connection& connection, std::int64_t now) noexcept {
  connection.idle_ns = now;
  connection.older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = &connection;
  newest_ = &connection;
  ++idle_;
  while (limits_.idle_ns > 0 && now - oldest_->idle_ns > limits_.idle_ns) close(*oldest_);
}

void Pool::close(Connection& connection) noexcept {
  unlink(connection);
  delete &connection;
  free_place();
}

void Pool::close_idle() noexcept {
  forget_if_forked();
  while (newest_ != nullptr) close(*newest_);
}

// A place is empty: the longest waiter may connect there.
void Pool::free_place() noexcept {
  if (Waiter* waiter = next_waiter()) {
    coev->lock_release(waiter->lock);
  } else {
    --open_;
  }
}

// The most recently used one that is fit for use; the others are closed.
Connection* Pool::take_idle(std::int64_t now, bool careful) noexcept {
  while (newest_ != nullptr) {
    Connection& connection = *newest_;
    const std::int64_t idle = now - connection.idle_ns;
    const bool expired = limits_.idle_ns > 0 && idle > limits_.idle_ns;
    if (!expired && ((!careful && idle < kTrustedIdleNs) || is_healthy(connection))) {
      unlink(connection);
      return &connection;
    }
    close(connection);
  }
  return nullptr;
}

Leased Pool::lease(Lease* lease, Deadline deadline, std::int64_t now, bool careful) noexcept {
  forget_if_forked();
  lease->pool_ = this;
  lease->generation_ = generation_;
  if (Connection* connection = take_idle(now, careful)) {
    ++counters_.reuses;
    lease->connection_ = connection;
    return Leased::kYes;
  }
  if (open_ < limits_.most) {
    ++open_;
    return fill_place(lease);
  }
  ++counters_.waits;
  return wait_in_queue(lease, deadline.sooner(Deadline::after(limits_.wait_seconds, now)));
}

// Connects in a place that is already counted, and gives the place up if that fails.
Leased Pool::fill_place(Lease* lease) noexcept {
  const std::uint32_t generation = generation_;
  const Ref made = Ref::steal(PyObject_CallNoArgs(connect_));
  Connection* connection = nullptr;
  int fd = -1;
  PyObject* tls = nullptr;
  if (made && PyArg_ParseTuple(made.get(), "iO", &fd, &tls)) {
    connection = new (std::nothrow) Connection(fd, tls == Py_None ? Ref() : Ref::borrow(tls));
    if (connection == nullptr) PyErr_NoMemory();
  }
  if (connection == nullptr) {
    // A fork within connect() has let go of the place already.
    if (generation == coev->fork_generation()) free_place();
    return PyErr_ExceptionMatches(errors::connection) ? Leased::kNoServer : Leased::kException;
  }
  ++counters_.connects;
  lease->connection_ = connection;
  return Leased::kYes;
}

Leased Pool::renew(Lease* lease) noexcept {
  delete std::exchange(lease->connection_, nullptr);
  ++counters_.drops;
  if (lease->generation_ != coev->fork_generation()) {
    forget_if_forked();
    ++open_;
    lease->generation_ = generation_;
  }
  while (newest_ != nullptr) close(*newest_);
  return fill_place(lease);
}

void Pool::note_failure(std::int64_t now, unsigned attempts, double retry_seconds,
                        double dead_seconds) noexcept {
  ++failures_;
  dead_ = failures_ > attempts;
  const double rest_seconds = dead_ ? dead_seconds : retry_seconds;
  rest_until_ = now + static_cast<std::int64_t>(rest_seconds * 1e9);
}

// --- the queue ---------------------------------------------------------------------------

void Pool::remove(Waiter& waiter) noexcept {
  (waiter.previous != nullptr ? waiter.previous->next : first_) = waiter.next;
  (waiter.next != nullptr ? waiter.next->previous : last_) = waiter.previous;
  waiter.queued = false;
  --waiting_;
}

Pool::Waiter* Pool::next_waiter() noexcept {
  Waiter* waiter = first_;
  if (waiter != nullptr) remove(*waiter);
  return waiter;
}

Leased Pool::wait_in_queue(Lease* lease, Deadline deadline) noexcept {
  Waiter self;
  self.lock = coev->lock_new();
  if (self.lock == nullptr) return Leased::kException;
  (void)coev->lock_acquire(self.lock, 0);  // new, so free
  self.previous = last_;
  (last_ != nullptr ? last_->next : first_) = &self;
  last_ = &self;
  self.queued = true;
  ++waiting_;
  const std::uint32_t generation = generation_;
  const int acquired = coev->lock_acquire(self.lock, deadline.remaining());
  const bool was_given = !self.queued;  // whoever gave a place has let go of the lock
  if (self.queued && generation == coev->fork_generation()) remove(self);
  if (acquired == 1 || !was_given) coev->lock_release(self.lock);
  coev->lock_free(self.lock);
  if (!was_given) return acquired == 0 ? Leased::kTimedOut : Leased::kException;
  lease->connection_ = self.given;
  if (acquired < 0) {  // killed when the place was already ours: the next may have it
    self.given != nullptr ? lease->give_back(now_ns()) : free_place();
    return Leased::kException;
  }
  return self.given != nullptr ? Leased::kYes : fill_place(lease);
}

}  // namespace evmemcached
