#include "buffer.h"

#include <algorithm>

namespace evmemcached {

bool Buffer::reserve(std::size_t count) noexcept {
  if (capacity_ - end_ >= count) return true;
  if (begin_ > 0) {
    std::memmove(data_, data_ + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (capacity_ - end_ >= count) return true;
  }
  const std::size_t wanted = std::max({end_ + count, 2 * capacity_, std::size_t{512}});
  auto* data = static_cast<char*>(std::realloc(data_, wanted));
  if (data == nullptr) return false;
  data_ = data;
  capacity_ = wanted;
  return true;
}

void Buffer::clear() noexcept {
  begin_ = end_ = 0;
  failed_ = false;
  if (capacity_ <= kKeptBytes) return;
  std::free(data_);
  data_ = nullptr;
  capacity_ = 0;
}

}  // namespace evmemcached
