// Queries whose waits are the program's: poll() of asynchronous connections, and the wait callback.
#pragma once

#include "cursor.h"
#include "libpq.h"

namespace psycoev::commands {

// connection->poll_state.
enum PollState : unsigned char { kPollIdle, kPollWriting, kPollReading };
// What poll() returns: extensions.POLL_*.
enum PollAnswer { kPollOk = 0, kPollRead = 1, kPollWrite = 2, kPollError = 3 };

// extensions.set_wait_callback(f), get_wait_callback(). The callback is null, or a reference.
extern PyObject* wait_callback;
[[nodiscard]] inline bool uses_wait_callback(const ConnectionObject* connection) noexcept {
  return wait_callback != nullptr && !connection->is_async;
}

// Sends a query of which poll() receives the result. False with an exception set.
[[nodiscard]] bool begin_polled(ConnectionObject* connection, CursorObject* cursor,
                                const char* sql);

// A turn of the program's loop: connects, sends and receives as far as it goes without waiting.
// A PollAnswer; below 0 with an exception set. SWITCHES: never.
[[nodiscard]] int poll(ConnectionObject* connection);
// poll() without the connecting: sends and receives.
[[nodiscard]] int poll_query(ConnectionObject* connection);

// Runs `sql` while the callback waits. False with an exception set, and the connection closed if
// the callback raised. SWITCHES: only if the callback does.
[[nodiscard]] bool run_by_callback(ConnectionObject* connection, CursorObject* cursor,
                                   const char* sql, ResultPtr* result);

// Asks the callback to wait until poll() says OK.
[[nodiscard]] bool wait_by_callback(ConnectionObject* connection);

}  // namespace psycoev::commands
