// The slot pool: finished coroutines' slots, by the size of their stack, newest
// first, for their memory is the warmest. It owns none.
#pragma once

#include <cstddef>
#include <vector>

#include "core/allocation.h"
#include "core/coroutine.h"

namespace coev {

class SlotPool {
 public:
  // Once before the first put() of a size. ERRORS: false without memory.
  [[nodiscard]] bool make_room(std::size_t stack_bytes) noexcept {
    if (find(stack_bytes) != nullptr) return true;
    return allocation::try_to([&] { shelves_.push_back({stack_bytes, nullptr}); });
  }

  void put(Coroutine& slot) noexcept {
    Shelf& shelf = *find(slot.stack.bytes);
    slot.chain_next = shelf.first;
    shelf.first = &slot;
    ++size_;
  }

  // nullptr if no slot has a stack of that size.
  [[nodiscard]] Coroutine* take(std::size_t stack_bytes) noexcept {
    Shelf* shelf = find(stack_bytes);
    if (shelf == nullptr || shelf->first == nullptr) return nullptr;
    Coroutine* slot = shelf->first;
    shelf->first = slot->chain_next;
    --size_;
    return slot;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // After fork: forgets all slots without touching them.
  void clear() noexcept {
    for (Shelf& shelf : shelves_) shelf.first = nullptr;
    size_ = 0;
  }

 private:
  struct Shelf {
    std::size_t stack_bytes;
    Coroutine* first;
  };
  [[nodiscard]] Shelf* find(std::size_t stack_bytes) noexcept {
    for (Shelf& shelf : shelves_) {
      if (shelf.stack_bytes == stack_bytes) return &shelf;
    }
    return nullptr;
  }

  std::vector<Shelf> shelves_;  // one for each size ever used: seldom more than two
  std::size_t size_ = 0;
};

}  // namespace coev
