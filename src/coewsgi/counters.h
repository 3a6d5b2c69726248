// What a server has done, as plain numbers, and how long its requests took.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "clock.h"

namespace coewsgi {

struct Counters {
  std::uint64_t accepts = 0;
  std::uint64_t requests = 0;
  std::array<std::uint64_t, 5> responses{};  // by the first digit of their status
  std::uint64_t bad_requests = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t request_timeouts = 0;
  std::uint64_t exceptions = 0;
  std::uint64_t read_errors = 0;
  std::uint64_t refused_connections = 0;
  std::uint64_t accept_pauses = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;

  void count_response(int status) noexcept { ++responses[static_cast<unsigned>(status / 100 - 1)]; }
};

// Times in buckets, four to an octave, from 1 us on.
class LatencyHistogram {
 public:
  void add(Nanoseconds time) noexcept {
    const auto units = static_cast<std::uint64_t>(time) / 250;  // a quarter of a microsecond
    unsigned bucket = 0;
    if (units >= 4) {
      const auto exponent = static_cast<unsigned>(std::bit_width(units)) - 1;
      // The next two bits cut the octave in four equal parts.
      bucket = 1 + (exponent - 2) * 4 + static_cast<unsigned>((units >> (exponent - 2)) & 3);
    }
    ++buckets_[bucket < kBuckets ? bucket : kBuckets - 1];
    ++count_;
  }

  // Seconds within which `quantile` of all were done: the bucket's upper bound.
  [[nodiscard]] double quantile(double quantile) const noexcept {
    if (count_ == 0) return 0;
    const auto rank = static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    unsigned bucket = 0;
    while (bucket + 1 < kBuckets && (seen += buckets_[bucket]) < (rank != 0 ? rank : 1)) ++bucket;
    if (bucket == 0) return 1e-6;
    const unsigned exponent = (bucket - 1) / 4;
    return std::ldexp(5 + (bucket - 1) % 4, static_cast<int>(exponent)) * 250e-9;
  }

 private:
  static constexpr unsigned kBuckets = 1 + 4 * 36;  // up to hours

  std::uint64_t count_ = 0;
  std::array<std::uint64_t, kBuckets> buckets_{};
};

}  // namespace coewsgi
