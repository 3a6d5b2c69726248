#include "commands/replication_stream.h"

#include <ctime>

#include "commands/failure.h"
#include "session/deadline.h"
#include "values/error.h"

namespace psycoev::commands {

using session::Outcome;

namespace {

constexpr std::int64_t kEpochSeconds = 946684800;  // 2000-01-01, where PostgreSQL counts from
constexpr int kDataHeader = 1 + 8 + 8 + 8;
constexpr int kKeepAliveSize = 1 + 8 + 8 + 1;
constexpr int kReportSize = 1 + 8 + 8 + 8 + 8 + 1;

double seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint64_t get8(const char* data) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(data[i]);
  return value;
}

char* put8(char* data, std::uint64_t value) {
  for (int i = 8; i-- > 0; value >>= 8) data[i] = static_cast<char>(value & 0xFF);
  return data + 8;
}

ReadAnswer fail(CursorObject* cursor, Outcome outcome) {
  ConnectionObject* connection = cursor->connection;
  raise_outcome(connection, cursor, connection->session->conclude(outcome));
  return ReadAnswer::kError;
}

// The server has ended the stream: the results say whether by an error.
ReadAnswer end_stream(CursorObject* cursor, ReplicationState* state) {
  ConnectionObject* connection = cursor->connection;
  state->is_streaming = false;
  ResultPtr result;
  const Outcome outcome =
      connection->session->conclude(connection->session->collect(COEV_NEVER, &result));
  if (outcome != Outcome::kDone) return fail(cursor, outcome);
  if (PQresultStatus(result.get()) != PGRES_FATAL_ERROR) return ReadAnswer::kEnded;
  values::raise_from_result(connection, cursor, result.release());
  return ReadAnswer::kError;
}

bool take_keep_alive(CursorObject* cursor, ReplicationState* state, const char* data) {
  state->end = get8(data + 1);
  // Nothing with data came since what the program has confirmed: all before is confirmed, too.
  if (state->flushed_by_program >= state->last_message && state->end > state->flushed) {
    state->flushed = state->end;
  }
  const bool wants_reply = data[kKeepAliveSize - 1] != 0;
  return !wants_reply || report(cursor, state, false);
}

bool take_data(ReplicationState* state, LibpqText memory, int size, ReplicationData* data) {
  const char* bytes = memory.get();
  data->payload = bytes + kDataHeader;
  data->size = size - kDataHeader;
  data->start = get8(bytes + 1);
  data->end = get8(bytes + 9);
  data->sent_us = static_cast<std::int64_t>(get8(bytes + 17));
  data->memory = std::move(memory);
  state->end = data->end;
  state->last_message = data->start;
  return true;
}

}  // namespace

ReadAnswer read_message(CursorObject* cursor, ReplicationState* state, ReplicationData* data) {
  ConnectionObject* connection = cursor->connection;
  for (bool has_read = false;;) {
    char* bytes = nullptr;
    const int size = PQgetCopyData(connection->pg, &bytes, 1);
    LibpqText memory(bytes);
    if (size == -2) return fail(cursor, Outcome::kFailed);
    if (size == -1) return end_stream(cursor, state);
    if (size == 0) {
      if (has_read) return ReadAnswer::kNothing;
      if (!connection->session->read_available()) return fail(cursor, Outcome::kFailed);
      has_read = true;
      continue;
    }
    state->last_heard = seconds_now();
    if (bytes[0] == 'w' && size >= kDataHeader) {
      take_data(state, std::move(memory), size, data);
      return ReadAnswer::kMessage;
    }
    if (bytes[0] != 'k' || size < kKeepAliveSize) {
      PyErr_Format(values::exceptions.operational_error,
                   "unrecognized replication message type: %d", static_cast<int>(bytes[0]));
      return ReadAnswer::kError;
    }
    if (!take_keep_alive(cursor, state, bytes)) return ReadAnswer::kError;
  }
}

bool wait_for_message(CursorObject* cursor, ReplicationState* state) {
  ConnectionObject* connection = cursor->connection;
  const double due = state->last_reported + state->status_interval - seconds_now();
  int seen = 0;
  const Outcome outcome =
      connection->session->wait(COEV_READABLE, coev->deadline_after(due > 0 ? due : 0), &seen);
  if (outcome == Outcome::kTimedOut) return report(cursor, state, false);
  if (outcome == Outcome::kDone) return report_if_due(cursor, state);
  raise_outcome(connection, cursor, outcome);
  return false;
}

bool report(CursorObject* cursor, ReplicationState* state, bool asks_for_reply) {
  ConnectionObject* connection = cursor->connection;
  char message[kReportSize];
  message[0] = 'r';
  char* place = put8(message + 1, state->written);
  place = put8(place, state->flushed);
  place = put8(place, state->applied);
  const double now = seconds_now();
  const auto now_us = static_cast<std::int64_t>((now - static_cast<double>(kEpochSeconds)) * 1e6);
  place = put8(place, static_cast<std::uint64_t>(now_us));
  *place = asks_for_reply ? 1 : 0;
  const int taken = PQputCopyData(connection->pg, message, kReportSize);
  if (taken <= 0) {
    fail(cursor, Outcome::kFailed);
    return false;
  }
  state->last_reported = now;
  if (connection->is_async) {
    if (PQflush(connection->pg) >= 0) return true;
    fail(cursor, Outcome::kFailed);
    return false;
  }
  const Outcome outcome = connection->session->flush(COEV_NEVER);
  if (outcome == Outcome::kDone) return true;
  // Part of a report may be sent; libpq sends the rest with the next one.
  if (outcome != Outcome::kInterrupted) {
    fail(cursor, outcome);
  }
  return false;
}

bool report_if_due(CursorObject* cursor, ReplicationState* state) {
  if (seconds_now() - state->last_reported < state->status_interval) return true;
  return report(cursor, state, false);
}

}  // namespace psycoev::commands
