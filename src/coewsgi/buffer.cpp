#include "buffer.h"

#include <cstdlib>
#include <cstring>

#include "scan.h"

namespace coewsgi {

BufferPool::~BufferPool() {
  while (free_ != nullptr) {
    Buffer* buffer = free_;
    free_ = buffer->next;
    std::free(buffer);
  }
}

Buffer* BufferPool::take(std::size_t at_least) noexcept {
  Buffer* buffer = nullptr;
  if (at_least <= kBufferBytes && free_ != nullptr) {
    buffer = free_;
    free_ = buffer->next;
    --free_count_;
  } else {
    const std::size_t capacity = (at_least + kBufferBytes - 1) / kBufferBytes * kBufferBytes;
    buffer = static_cast<Buffer*>(std::malloc(sizeof(Buffer) + capacity + kPadding));
    if (buffer == nullptr) return nullptr;
    buffer->capacity = capacity;
    // Scanners read behind the end; what they find there never counts.
    std::memset(buffer->data() + capacity, 0, kPadding);
  }
  lent_bytes_ += buffer->capacity;
  buffer->clear();
  buffer->next = nullptr;
  return buffer;
}

void BufferPool::give(Buffer* buffer) noexcept {
  if (buffer == nullptr) return;
  lent_bytes_ -= buffer->capacity;
  if (buffer->capacity != kBufferBytes || free_count_ >= kMostKept) {
    std::free(buffer);
    return;
  }
  buffer->next = free_;
  free_ = buffer;
  ++free_count_;
}

Buffer* BufferPool::grow(Buffer* buffer, std::size_t at_least) noexcept {
  Buffer* larger = take(at_least);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger->data(), buffer->begin(), buffer->left());
  larger->size = buffer->left();
  give(buffer);
  return larger;
}

}  // namespace coewsgi
