// Stacks: virtual memory with a guard page below, handed out and taken back.
//
// A stack costs address space; only pages that were touched cost memory. Memory
// is mapped in slabs of several stacks, so that neighbours share a mapping.
// Guards: MADV_GUARD_INSTALL where the kernel has it (Linux 6.13), which
// leaves the mapping whole; else mprotect, which splits it, so the kernel's
// limit on mappings (vm.max_map_count) ends the pool: allocate() then fails.
//
// THREAD: one pool an OS thread; no locking inside.
#pragma once

#include <cstddef>
#include <vector>

namespace coev {

struct Stack {
  void* low = nullptr;    // lowest usable byte; the guard page lies below it
  std::size_t bytes = 0;  // usable bytes
  [[nodiscard]] char* top() const noexcept { return static_cast<char*>(low) + bytes; }
};

class StackPool {
 public:
  static constexpr std::size_t kDefaultBytes = 1024 * 1024;
  static constexpr std::size_t kMinimumBytes = 64 * 1024;
  static constexpr std::size_t kKeptBytes = 48 * 1024;       // of a pooled stack
  static constexpr std::size_t kLeastKeptBytes = 28 * 1024;  // what may be in use

  StackPool() = default;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool();

  // What a stack of `bytes` really has: whole pages, and not too few of them.
  [[nodiscard]] static std::size_t rounded(std::size_t bytes) noexcept;

  // A stack of rounded(bytes).
  // ERRORS: a stack with low == nullptr when the kernel refuses.
  [[nodiscard]] Stack allocate(std::size_t bytes) noexcept;

  // Gives a stack back; its pages are returned to the kernel.
  void release(const Stack& stack) noexcept;

  // Returns what was touched more than `kept_bytes` below the top to the
  // kernel. Costs one read when nothing was.
  static void trim(const Stack& stack, std::size_t kept_bytes) noexcept;

  // Stacks that exist, handed out or not.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Slab {
    char* memory;
    std::size_t bytes;
    std::size_t used;  // stacks are carved off in order, each when first asked for
    std::size_t stack_bytes;
  };
  bool map_slab(std::size_t stack_bytes) noexcept;
  [[nodiscard]] Stack carve(Slab& slab) noexcept;

  std::vector<Slab> slabs_;
  std::vector<Stack> free_;  // any mix of sizes; its capacity is always >= size_
  std::size_t size_ = 0;
};

}  // namespace coev
