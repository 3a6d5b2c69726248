#include "core/local.h"

#include <atomic>
#include <utility>

#include "core/allocation.h"

namespace coev {
namespace {

std::array<LocalDestructor, LocalStorage::kMaximumKeys> g_destructors{};
std::atomic<int> g_keys{0};

}  // namespace

int create_local_key(LocalDestructor destructor) noexcept {
  int key = g_keys.load(std::memory_order_relaxed);
  do {
    if (key == static_cast<int>(LocalStorage::kMaximumKeys)) return -1;
  } while (!g_keys.compare_exchange_weak(key, key + 1));
  g_destructors[static_cast<std::size_t>(key)] = destructor;
  return key;
}

void* LocalStorage::get(int key) const noexcept {
  const auto index = static_cast<std::size_t>(key);
  if (index < kInline) return inline_[index];
  return index - kInline < more_.size() ? more_[index - kInline] : nullptr;
}

bool LocalStorage::set(int key, void* value) noexcept {
  const auto index = static_cast<std::size_t>(key);
  if (index < kInline) {
    inline_[index] = value;
    return true;
  }
  if (index - kInline >= more_.size() &&
      !allocation::try_to([&] { more_.resize(index - kInline + 1); })) {
    return false;
  }
  more_[index - kInline] = value;
  return true;
}

void LocalStorage::destroy_values() noexcept {
  constexpr int kRounds = 4;  // as PTHREAD_DESTRUCTOR_ITERATIONS
  for (int round = 0; round < kRounds; ++round) {
    bool found = false;
    for (std::size_t index = 0; index < kInline + more_.size(); ++index) {
      void*& cell = index < kInline ? inline_[index] : more_[index - kInline];
      void* value = std::exchange(cell, nullptr);
      if (value == nullptr) continue;
      found = true;
      if (g_destructors[index] != nullptr) g_destructors[index](value);
    }
    if (!found) return;
  }
  inline_ = {};  // what the last round still set is lost, and never another coroutine's
  more_.clear();
}

}  // namespace coev
