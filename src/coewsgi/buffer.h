// Buffers for what was received and is not read yet. A connection that waits for a
// request holds none: they come from a pool when bytes are there.
//
// THREAD: the pool is its owner's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coewsgi {

struct Buffer {
  [[nodiscard]] std::size_t left() const noexcept { return size - at; }
  [[nodiscard]] const char* begin() const noexcept { return data() + at; }
  [[nodiscard]] const char* end() const noexcept { return data() + size; }
  [[nodiscard]] char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] const char* data() const noexcept {
    return reinterpret_cast<const char*>(this + 1);
  }
  void clear() noexcept { at = size = 0; }

  std::size_t capacity;  // without the padding behind it
  std::size_t size;      // bytes received
  std::size_t at;        // bytes read
  Buffer* next;          // in the pool
};

class BufferPool {
 public:
  static constexpr std::size_t kBufferBytes = 16384;

  BufferPool() = default;
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // nullptr: no memory. Capacities are multiples of kBufferBytes.
  [[nodiscard]] Buffer* take(std::size_t at_least = kBufferBytes) noexcept;
  // nullptr is allowed.
  void give(Buffer* buffer) noexcept;
  // A buffer with the same unread bytes at its begin and more room behind them; gives the old
  // one back. nullptr: no memory, the old one stays.
  [[nodiscard]] Buffer* grow(Buffer* buffer, std::size_t at_least) noexcept;

  [[nodiscard]] std::size_t lent_bytes() const noexcept { return lent_bytes_; }

 private:
  static constexpr unsigned kMostKept = 64;

  Buffer* free_ = nullptr;
  unsigned free_count_ = 0;
  std::size_t lent_bytes_ = 0;
};

}  // namespace coewsgi
