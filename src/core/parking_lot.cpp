#include "core/parking_lot.h"

#include <array>
#include <cstdint>

namespace coev::parking_lot {
namespace {

constexpr std::size_t kBuckets = 8192;  // untouched ones cost address space only

struct alignas(64) Bucket {
  SpinLock guard;
  WaitQueue queue{&guard};
};

// Never destroyed: other OS threads may park until the very end.
Bucket* buckets() noexcept {
  static auto* const all = new std::array<Bucket, kBuckets>;
  return all->data();
}

}  // namespace

WaitQueue& queue_of(const void* address) noexcept {
  constexpr std::uint64_t kFibonacci = 0x9E3779B97F4A7C15;
  const std::uint64_t hash = (reinterpret_cast<std::uintptr_t>(address) >> 3) * kFibonacci;
  return buckets()[hash >> (64 - 13)].queue;
}
static_assert(kBuckets == 1 << 13);

Coroutine* first_waiter(WaitQueue& queue, const void* address) noexcept {
  for (Coroutine* c = queue.first(); c != nullptr; c = queue.next(*c)) {
    if (c->park_key == address) return c;
  }
  return nullptr;
}

}  // namespace coev::parking_lot
