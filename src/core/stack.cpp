#include "core/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "core/allocation.h"
#include "core/sanitizer.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace coev {
namespace {

// Each slab is twice as large as the one before: between two of them the kernel may
// put another mapping, so many small ones would be many mappings.
constexpr std::size_t kFirstSlabBytes = std::size_t{64} * 1024 * 1024;
constexpr std::size_t kLargestSlabBytes = std::size_t{8} * 1024 * 1024 * 1024;

std::size_t slab_bytes(std::size_t slabs) noexcept {
  std::size_t bytes = kFirstSlabBytes;
  while (slabs-- > 0 && bytes < kLargestSlabBytes) bytes *= 2;
  return bytes;
}

std::size_t page_bytes() noexcept {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

void* reserve(std::size_t bytes) noexcept {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
}

bool install_guard(void* page) noexcept {
  static std::atomic<bool> has_guard_advice{true};
  if (has_guard_advice.load(std::memory_order_relaxed)) {
    if (madvise(page, page_bytes(), MADV_GUARD_INSTALL) == 0) return true;
    has_guard_advice.store(false, std::memory_order_relaxed);
  }
  return mprotect(page, page_bytes(), PROT_NONE) == 0;
}

}  // namespace

StackPool::~StackPool() {
  for (const Slab& slab : slabs_) munmap(slab.memory, slab.bytes);
}

bool StackPool::map_slab(std::size_t stack_bytes) noexcept {
  const std::size_t stride = stack_bytes + page_bytes();
  std::size_t count = std::max<std::size_t>(1, slab_bytes(slabs_.size()) / stride);
  std::size_t bytes = stride * count;
  void* memory = reserve(bytes);
  while (memory == MAP_FAILED && count > 1) {  // address space may be limited
    count /= 2;
    bytes = stride * count;
    memory = reserve(bytes);
  }
  if (memory == MAP_FAILED) return false;
  sanitizer::forget_marks(memory, bytes);
  madvise(memory, bytes, MADV_NOHUGEPAGE);  // a huge page would make each stack cost 2 MiB
  const Slab slab{static_cast<char*>(memory), bytes, 0, stack_bytes};
  if (allocation::try_to([&] { slabs_.push_back(slab); })) return true;
  munmap(memory, bytes);
  return false;
}

Stack StackPool::carve(Slab& slab) noexcept {
  char* guard = slab.memory + slab.used;
  const auto grow = [&] { free_.reserve(2 * size_ + 64); };
  if (free_.capacity() <= size_ && !allocation::try_to(grow)) return {};
  if (!install_guard(guard)) return {};
  slab.used += slab.stack_bytes + page_bytes();
  ++size_;
  return {guard + page_bytes(), slab.stack_bytes};
}

std::size_t StackPool::rounded(std::size_t bytes) noexcept {
  const std::size_t page = page_bytes();
  if (bytes < kMinimumBytes) bytes = kMinimumBytes;
  return (bytes + page - 1) & ~(page - 1);
}

Stack StackPool::allocate(std::size_t bytes) noexcept {
  bytes = rounded(bytes);
  for (std::size_t i = free_.size(); i-- > 0;) {
    if (free_[i].bytes != bytes) continue;
    const Stack stack = free_[i];
    free_[i] = free_.back();
    free_.pop_back();
    return stack;
  }
  for (std::size_t i = slabs_.size(); i-- > 0;) {
    Slab& slab = slabs_[i];
    if (slab.stack_bytes == bytes && slab.used < slab.bytes) return carve(slab);
  }
  return map_slab(bytes) ? carve(slabs_.back()) : Stack{};
}

void StackPool::release(const Stack& stack) noexcept {
  madvise(stack.low, stack.bytes, MADV_DONTNEED);
  free_.push_back(stack);
}

void StackPool::trim(const Stack& stack, std::size_t kept_bytes) noexcept {
  if (stack.bytes <= kept_bytes) return;
  // An untouched page reads as zeros; a deep call leaves saved registers there.
  const auto* mark = reinterpret_cast<const std::uint64_t*>(stack.top() - kept_bytes) - 1;
  if (*mark == 0) return;
  madvise(stack.low, stack.bytes - kept_bytes, MADV_DONTNEED);
}

}  // namespace coev
