// Receiving and sending on a connection, plain or through its TLS socket. What waits, waits
// in the scheduler, with a deadline.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <string_view>

#include "connection.h"

namespace coewsgi {

// What receive() gives instead of a number of bytes.
inline constexpr ssize_t kReadEnd = 0;
inline constexpr ssize_t kReadRaised = -1;  // an exception is set
inline constexpr ssize_t kReadTimedOut = -2;
inline constexpr ssize_t kReadLost = -3;

enum class Sent : std::uint8_t { kAll, kLost, kRaised };

enum class Readiness : std::uint8_t { kReady, kTimedOut, kLost, kRaised };

// Whether the TLS socket holds decrypted bytes, of which its descriptor tells nothing.
bool has_pending(const Connection& connection) noexcept;

// Waits for COEV_READABLE or COEV_WRITABLE; with COEV_PERMIT also until somebody unparks the
// connection's coroutine, which is kReady, too.
// SWITCHES: always.
Readiness wait_for(Connection& connection, int events, Nanoseconds deadline) noexcept;

// At most `size` bytes, as soon as there are some.
// SWITCHES: only if there are none.
ssize_t receive(Connection& connection, char* data, std::size_t size,
                Nanoseconds deadline) noexcept;

// All bytes of `parts`, which are changed. kLost: the client is gone, or took nothing for
// the write timeout; connection.lost is set.
// SWITCHES: only if the kernel's buffer is full.
Sent send_all(Connection& connection, iovec* parts, int count) noexcept;
Sent send_all(Connection& connection, std::string_view data) noexcept;

// `size` bytes of the file from `offset` on, by sendfile(2). Fewer where the file ends.
// REQUIRES: a plain connection.
// SWITCHES: only if the kernel's buffer is full.
Sent send_file(Connection& connection, int file, off_t offset, std::int64_t size,
               std::int64_t* sent) noexcept;

// The TLS handshake. false: failed, or an exception is set.
bool shake_hands(Connection& connection, Nanoseconds deadline) noexcept;

// Ends the calls of the application's threads that still receive or send, by shutting the socket
// down. An exception that is set stays; one that comes meanwhile is set if there was none.
// SWITCHES: only if there are such calls.
void expel_users(Connection& connection) noexcept;

// Says goodbye to a client that may still be sending: no more is sent, what comes is read and
// dropped, at most 64 KiB within two seconds. Closing at once would reset the connection,
// and the answer could be lost with it (RFC 9112, 9.6).
// ERRORS: exceptions other than kills are dropped. SWITCHES: usually.
void linger(Connection& connection) noexcept;

}  // namespace coewsgi
