// The parking lot: wait queues for objects too small to hold one.
//
// A lock is a byte or a word anywhere in memory, perhaps inside an object of
// CPython's own; its waiters are found here by its address. Buckets are shared
// by addresses that hash alike, between all OS threads.
#pragma once

#include "core/wait_queue.h"

namespace coev::parking_lot {

// The queue that waiters for `address` use. Lock it to look or to park.
[[nodiscard]] WaitQueue& queue_of(const void* address) noexcept;

// REQUIRES: `queue` is queue_of(address) and locked.
[[nodiscard]] Coroutine* first_waiter(WaitQueue& queue, const void* address) noexcept;

}  // namespace coev::parking_lot
