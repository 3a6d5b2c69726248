// Bytes on their way to or from a server.
//
// Memory that cannot be had is no exception here: append() and reserve() say so,
// and append() stays failed until clear().
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace evmemcached {

class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // What was put in and not yet taken out.
  [[nodiscard]] std::string_view view() const noexcept { return {data_ + begin_, end_ - begin_}; }
  [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  // Room for `count` more bytes at tail(). ERRORS: false, no memory.
  [[nodiscard]] bool reserve(std::size_t count) noexcept;
  [[nodiscard]] char* tail() noexcept { return data_ + end_; }
  [[nodiscard]] std::size_t room() const noexcept { return capacity_ - end_; }
  void fail() noexcept { failed_ = true; }
  void grow(std::size_t count) noexcept { end_ += count; }

  void append(std::string_view bytes) noexcept {
    if (!reserve(bytes.size())) {
      failed_ = true;
      return;
    }
    if (!bytes.empty()) std::memcpy(tail(), bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  void append(char byte) noexcept { append({&byte, 1}); }
  template <typename Number>
  void append_number(Number number) noexcept {
    char digits[24];
    append({digits, static_cast<std::size_t>(
                        std::to_chars(digits, digits + sizeof digits, number).ptr - digits)});
  }

  // Takes out the first bytes.
  void consume(std::size_t count) noexcept {
    begin_ += count;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Empty again; gives memory back beyond what a usual request needs.
  void clear() noexcept;

 private:
  static constexpr std::size_t kKeptBytes = 64 * 1024;

  char* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
  bool failed_ = false;
};

}  // namespace evmemcached
