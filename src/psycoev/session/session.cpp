#include "session/session.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "session/deadline.h"

namespace psycoev {

const coev_api* coev;

namespace session {

Session::Session(PGconn** pg, long* closed) noexcept
    : pg_(pg), closed_(closed), generation_(coev->fork_generation()) {}

Session::~Session() {
  close(1);
  drop_notices();
  // In a child of fork the lock may be held by a coroutine that lives on in the parent only.
  if (lock_ != nullptr && !is_forked()) coev->lock_free(lock_);
}

bool Session::prepare() {
  lock_ = coev->lock_new();
  return lock_ != nullptr;
}

void Session::attach(PGconn* pg) noexcept {
  *pg_ = pg;
  fd_ = PQsocket(pg);
  PQsetNoticeReceiver(
      pg, [](void* self, const PGresult* result) { receive_notice(self, result); }, this);
  PQsetnonblocking(pg, 1);
}

Entry Session::enter(std::int64_t deadline) {
  if (is_forked()) return Entry::kForked;
  if (*pg_ == nullptr) return Entry::kClosed;
  const std::uint64_t current = coev->current_id();
  if (owner_ == current) return Entry::kNested;
  if (listener_ != nullptr && coev->unpark(listener_) < 0) return Entry::kInterrupted;
  const double timeout = deadline == COEV_NEVER ? -1.0 : seconds_until(deadline);
  ++waiting_;
  const int acquired = coev->lock_acquire(lock_, timeout);
  --waiting_;
  if (acquired != 1) return acquired == 0 ? Entry::kTimedOut : Entry::kInterrupted;
  if (is_forked()) return Entry::kForked;
  if (*pg_ == nullptr) {
    coev->lock_release(lock_);
    return Entry::kClosed;
  }
  owner_ = current;
  return Entry::kEntered;
}

void Session::leave() noexcept {
  // A coroutine that forked while it had the connection: the lock is the parent's.
  if (is_forked()) return;
  owner_ = 0;
  coev->lock_release(lock_);
}

void Session::close(long closed) noexcept {
  if (*closed_ == 0) *closed_ = closed;
  PGconn* pg = *pg_;
  if (pg == nullptr) return;
  *pg_ = nullptr;
  const int fd = fd_;
  fd_ = -1;
  if (is_forked()) {
    // PQfinish() would say Terminate to the server, and so end the parent's connection; libpq has
    // no other way: the socket is closed under it, and the memory stays.
    if (fd >= 0) ::close(fd);
    return;
  }
  if (fd >= 0) coev->disown_fd(fd, this);
  PQfinish(pg);
}

void Session::remember_failure() noexcept {
  if (*pg_ != nullptr) std::snprintf(failure_, sizeof failure_, "%s", PQerrorMessage(*pg_));
}

Outcome Session::wait(int events, std::int64_t deadline, int* seen) {
  *seen = coev->wait_fd_until(fd_, events | COEV_CLOSED, deadline, this);
  if (*pg_ == nullptr) {
    if (*seen < 0) return Outcome::kInterrupted;
    return Outcome::kClosed;
  }
  if (*seen < 0) return Outcome::kInterrupted;
  if (*seen == 0) return Outcome::kTimedOut;
  if (*seen == COEV_CLOSED) *seen = events;  // libpq finds out itself what became of its socket
  return Outcome::kDone;
}

Outcome Session::listen(std::int64_t deadline) {
  if (waiting_ > 0) return Outcome::kDone;
  const Ref current(coev->current());
  if (!current) return Outcome::kInterrupted;
  listener_ = current.get();
  int seen = 0;
  const Outcome outcome = wait(COEV_READABLE | COEV_PERMIT, deadline, &seen);
  listener_ = nullptr;
  if (outcome != Outcome::kDone || (seen & COEV_READABLE) == 0) return outcome;
  return PQconsumeInput(*pg_) != 0 ? Outcome::kDone : Outcome::kFailed;
}

Outcome Session::send(int accepted) noexcept {
  return accepted != 0 ? Outcome::kDone : Outcome::kFailed;
}

Outcome Session::flush(std::int64_t deadline) {
  for (;;) {
    const int left = PQflush(*pg_);
    if (left == 0) return Outcome::kDone;
    if (left < 0) {
      // The server may have said why before it hung up: libpq finds that when it reads.
      return PQconsumeInput(*pg_) != 0 && PQstatus(*pg_) == CONNECTION_OK ? Outcome::kDone
                                                                          : Outcome::kFailed;
    }
    // Reads meanwhile, or both sides may wait for each other with full buffers.
    const Outcome outcome = wait_and_read(COEV_READABLE | COEV_WRITABLE, deadline);
    if (outcome != Outcome::kDone) return outcome;
  }
}

Outcome Session::wait_and_read(int events, std::int64_t deadline) {
  int seen = 0;
  const Outcome outcome = wait(events, deadline, &seen);
  if (outcome != Outcome::kDone) return outcome;
  if ((seen & COEV_READABLE) != 0 && PQconsumeInput(*pg_) == 0) return Outcome::kFailed;
  return Outcome::kDone;
}

Outcome Session::next_result(std::int64_t deadline, ResultPtr* result) {
  while (PQisBusy(*pg_) != 0) {
    const Outcome outcome = wait_and_read(COEV_READABLE, deadline);
    // libpq gives a lost connection as a result, with what the server said last.
    if (outcome == Outcome::kFailed) break;
    if (outcome != Outcome::kDone) return outcome;
  }
  result->reset(PQgetResult(*pg_));
  return Outcome::kDone;
}

namespace {

void count_rows(PGresult* result, long long* affected) noexcept {
  const char* text = PQcmdTuples(result);
  *affected = *text == '\0' || *affected < 0 ? -1 : *affected + std::strtoll(text, nullptr, 10);
}

}  // namespace

Outcome Session::collect(std::int64_t deadline, ResultPtr* result, long long* affected) {
  result->reset();
  for (;;) {
    ResultPtr next;
    const Outcome outcome = next_result(deadline, &next);
    if (outcome != Outcome::kDone) return outcome;
    if (next == nullptr) return *result != nullptr ? Outcome::kDone : Outcome::kFailed;
    const ExecStatusType status = PQresultStatus(next.get());
    if (affected != nullptr) count_rows(next.get(), affected);
    if (*result == nullptr || PQresultStatus(result->get()) != PGRES_FATAL_ERROR) {
      *result = std::move(next);
    }
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      return Outcome::kDone;
    }
    if (PQstatus(*pg_) == CONNECTION_BAD) return Outcome::kDone;
  }
}

Outcome Session::query(const char* sql, std::int64_t deadline, ResultPtr* result,
                       long long* affected) {
  return exchange(PQsendQuery(*pg_, sql), deadline, result, affected);
}

Outcome Session::query_with(const char* sql, const Parameters& parameters, std::int64_t deadline,
                            ResultPtr* result) {
  const int accepted =
      PQsendQueryParams(*pg_, sql, parameters.count, parameters.types, parameters.values,
                        parameters.sizes, parameters.formats, parameters.result_format);
  return exchange(accepted, deadline, result);
}

Outcome Session::exchange(int accepted, std::int64_t deadline, ResultPtr* result,
                          long long* affected) {
  Outcome outcome = send(accepted);
  if (outcome == Outcome::kDone) outcome = flush(deadline);
  if (outcome == Outcome::kDone) outcome = collect(deadline, result, affected);
  return conclude(outcome);
}

Outcome Session::conclude(Outcome outcome) noexcept {
  if (*pg_ == nullptr) return outcome;
  switch (outcome) {
    case Outcome::kDone:
    case Outcome::kFailed:
      if (PQstatus(*pg_) == CONNECTION_BAD) {
        remember_failure();
        close(2);
      }
      break;
    case Outcome::kTimedOut:
    case Outcome::kInterrupted:
      recover();
      break;
    case Outcome::kClosed:
      break;
  }
  return outcome;
}

bool Session::read_available() noexcept {
  if (PQconsumeInput(*pg_) != 0) return true;
  remember_failure();
  return false;
}

void Session::receive_notice(void* session, const PGresult* result) noexcept {
  auto* self = static_cast<Session*>(session);
  const char* text = PQresultErrorMessage(result);
  const std::size_t size = std::strlen(text);
  auto* notice = static_cast<Notice*>(std::malloc(sizeof(Notice) + size));
  if (notice == nullptr) return;
  notice->next = nullptr;
  std::memcpy(notice->text, text, size + 1);
  *self->last_notice_ = notice;
  self->last_notice_ = &notice->next;
}

Notice* Session::take_notice() noexcept {
  Notice* notice = first_notice_;
  if (notice == nullptr) return nullptr;
  first_notice_ = notice->next;
  if (first_notice_ == nullptr) last_notice_ = &first_notice_;
  return notice;
}

void Session::drop_notices() noexcept {
  while (Notice* notice = take_notice()) std::free(notice);
}

}  // namespace session
}  // namespace psycoev
