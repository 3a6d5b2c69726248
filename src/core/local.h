// Coroutine-local storage for native code: one pointer a key and coroutine.
//
// Keys are made once and never reused. A destructor runs when the coroutine
// ends, on its own stack, and may switch. The first kInline keys cost no
// allocation.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace coev {

using LocalDestructor = void (*)(void* value);

// A key, or -1 when there are kMaximumKeys already. THREAD: any.
[[nodiscard]] int create_local_key(LocalDestructor destructor) noexcept;

class LocalStorage {
 public:
  static constexpr std::size_t kMaximumKeys = 1024;

  // nullptr where nothing was set. REQUIRES: a key of create_local_key().
  [[nodiscard]] void* get(int key) const noexcept;
  // ERRORS: false without memory; the old value is not destroyed.
  [[nodiscard]] bool set(int key, void* value) noexcept;

  // Runs the destructors of all values, again if they set new ones (at most a
  // few rounds). SWITCHES: only if a destructor does.
  void destroy_values() noexcept;

 private:
  static constexpr std::size_t kInline = 4;
  std::array<void*, kInline> inline_{};
  std::vector<void*> more_;
};

}  // namespace coev
