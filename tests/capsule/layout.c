/* Where every member of the table lies, for ever: modules that were built long ago look there.
 * Compiled as C11 and as C++20; new members are appended here as in coev.h. */
#include <assert.h>
#include <coev/coev.h>
#include <stddef.h>

#define AT(place, member) \
  static_assert(offsetof(coev_api, member) == 16 + (place) * sizeof(void (*)(void)), #member)

static_assert(offsetof(coev_api, abi_major) == 0, "abi_major");
static_assert(offsetof(coev_api, abi_minor) == 4, "abi_minor");
static_assert(offsetof(coev_api, size) == 8, "size");

/* 1.0 */
AT(0, current);
AT(1, spawn);
AT(2, spawn_native);
AT(3, join);
AT(4, yield_now);
AT(5, sleep);
AT(6, switch_to);
AT(7, throw_into);
AT(8, wait_fd);
AT(9, forget_fd);
AT(10, park);
AT(11, unpark);
AT(12, waker_new);
AT(13, waker_wake);
AT(14, waker_free);
AT(15, lock_new);
AT(16, lock_free);
AT(17, lock_acquire);
AT(18, lock_release);
AT(19, local_key);
AT(20, local_get);
AT(21, local_set);
AT(22, stream_new);
AT(23, stream_free);
AT(24, stream_read_some);
AT(25, stream_read_exactly);
AT(26, stream_read_until);
AT(27, stream_write);
AT(28, stream_flush);
AT(29, offload);
/* 1.1 */
AT(30, wait_fd_owned);
AT(31, wait_fd_until);
AT(32, disown_fd);
AT(33, deadline_after);
AT(34, current_id);
AT(35, fork_generation);
AT(36, offload_call);
AT(37, stream_new_owned);
AT(38, stream_read_some_until);
AT(39, stream_read_exactly_until);
AT(40, stream_read_delimited_until);
AT(41, stream_write_until);
AT(42, stream_flush_until);
AT(43, give_way_if_due);
static_assert(sizeof(coev_api) == 16 + 44 * sizeof(void (*)(void)), "a member is not listed");

/* The bits of events and of flags. */
static_assert(COEV_READABLE == 1 && COEV_WRITABLE == 2, "1.0");
static_assert(COEV_PERMIT == 4 && COEV_CLOSED == 8, "1.1");
static_assert(COEV_KEEP == 1 && COEV_UNLIMITED == 2, "1.1");
