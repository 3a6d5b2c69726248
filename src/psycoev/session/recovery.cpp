// What becomes of a connection whose query was interrupted: it is brought back into step with the
// server within a grace time, or closed.
#include <cstdio>
#include <cstdlib>

#include "session/deadline.h"
#include "session/session.h"

namespace psycoev::session {
namespace {

// Owned by the job, because the connection may be closed while the job still runs.
struct CancelJob {
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  PGcancelConn* request;
#else
  PGcancel* request;
#endif
  bool sent;
  char error[256];
};

void run_cancel(void* argument) {
  auto* job = static_cast<CancelJob*>(argument);
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  job->sent = PQcancelBlocking(job->request) != 0;
  if (!job->sent)
    std::snprintf(job->error, sizeof job->error, "%s", PQcancelErrorMessage(job->request));
#else
  job->sent = PQcancel(job->request, job->error, sizeof job->error) != 0;
#endif
}

void free_cancel(void* argument) {
  auto* job = static_cast<CancelJob*>(argument);
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  PQcancelFinish(job->request);
#else
  PQfreeCancel(job->request);
#endif
  std::free(job);
}

CancelJob* make_cancel(PGconn* pg) {
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  auto* request = PQcancelCreate(pg);
#else
  auto* request = PQgetCancel(pg);
#endif
  if (request == nullptr) return nullptr;
  auto* job = static_cast<CancelJob*>(std::calloc(1, sizeof(CancelJob)));
  if (job != nullptr) {
    job->request = request;
    return job;
  }
#ifdef LIBPQ_HAS_ASYNC_CANCEL
  PQcancelFinish(request);
#else
  PQfreeCancel(request);
#endif
  return nullptr;
}

}  // namespace

Outcome Session::cancel(std::int64_t deadline, char* error) {
  error[0] = '\0';
  CancelJob* job = make_cancel(*pg_);
  if (job == nullptr) {
    std::snprintf(error, 256, "can't get cancellation key");
    return Outcome::kFailed;
  }
  // Not one of the few jobs that run at a time: what those wait for may be this very cancel.
  const int ran = coev->offload_call(run_cancel, job, free_cancel, seconds_until(deadline),
                                     COEV_KEEP | COEV_UNLIMITED);
  if (ran == 0) return Outcome::kTimedOut;
  if (ran < 0) return Outcome::kInterrupted;
  const bool sent = job->sent;
  if (!sent) std::snprintf(error, 256, "%s", job->error);
  free_cancel(job);
  return sent ? Outcome::kDone : Outcome::kFailed;
}

void Session::recover() noexcept {
  SavedException saved;
  const std::int64_t deadline = coev->deadline_after(grace_);
  char error[256];
  bool in_step = false;
  if (grace_ > 0 && PQstatus(*pg_) == CONNECTION_OK) {
    // The query may have ended before the cancel came: the server then ignores it. It cannot hit
    // the next query, because the server has signalled its process before it ends the cancel's
    // connection, and that end was waited for.
    const bool has_ended = PQtransactionStatus(*pg_) != PQTRANS_ACTIVE && PQisBusy(*pg_) == 0;
    if (has_ended || (cancel(deadline, error) == Outcome::kDone && *pg_ != nullptr)) {
      in_step = drain(deadline);
    }
  }
  PyErr_Clear();  // a second interrupt: the first one is told
  if (!in_step && *pg_ != nullptr) close(2);
}

bool Session::drain(std::int64_t deadline) noexcept {
  if (PQpipelineStatus(*pg_) != PQ_PIPELINE_OFF) return drain_pipeline(deadline);
  for (;;) {
    ResultPtr result;
    if (flush(deadline) != Outcome::kDone) return false;
    if (next_result(deadline, &result) != Outcome::kDone) return false;
    if (result == nullptr) return PQstatus(*pg_) == CONNECTION_OK;
    switch (PQresultStatus(result.get())) {
      case PGRES_COPY_IN:
        if (!end_copy_in(deadline)) return false;
        break;
      case PGRES_COPY_OUT:
        if (!drain_copy_out(deadline)) return false;
        break;
      case PGRES_COPY_BOTH:
        return false;
      default:
        break;
    }
    if (PQstatus(*pg_) != CONNECTION_OK) return false;
  }
}

bool Session::drain_pipeline(std::int64_t deadline) noexcept {
  if (PQpipelineSync(*pg_) == 0) return false;
  // Every statement's results end with a null; the one sync that was sent now ends it all, but an
  // earlier one may still be on its way.
  for (int idle = 0; idle < 2;) {
    ResultPtr result;
    if (flush(deadline) != Outcome::kDone) return false;
    if (next_result(deadline, &result) != Outcome::kDone) return false;
    idle = result == nullptr ? idle + 1 : 0;
    if (PQstatus(*pg_) != CONNECTION_OK) return false;
    if (result != nullptr && PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC &&
        PQexitPipelineMode(*pg_) != 0) {
      return true;
    }
  }
  return PQexitPipelineMode(*pg_) != 0;
}

bool Session::end_copy_in(std::int64_t deadline) noexcept {
  return PQputCopyEnd(*pg_, "the COPY was interrupted") >= 0 && flush(deadline) == Outcome::kDone;
}

bool Session::drain_copy_out(std::int64_t deadline) noexcept {
  for (;;) {
    char* data = nullptr;
    const int size = PQgetCopyData(*pg_, &data, 1);
    if (size > 0) {
      PQfreemem(data);
    } else if (size < 0) {
      return true;  // the end, or an error that the next result tells
    } else if (wait_and_read(COEV_READABLE, deadline) != Outcome::kDone) {
      return false;
    }
  }
}

}  // namespace psycoev::session
