#include "core/time.h"

#include <time.h>

#include <atomic>

namespace coev {
namespace {

std::atomic<bool> g_virtual{false};
std::atomic<std::int64_t> g_virtual_now{0};

std::int64_t monotonic_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::int64_t now_ns() noexcept {
  if (g_virtual.load(std::memory_order_relaxed)) [[unlikely]] {
    return g_virtual_now.load(std::memory_order_relaxed);
  }
  return monotonic_ns();
}

namespace virtual_time {

void enable(bool on) noexcept {
  g_virtual_now.store(monotonic_ns(), std::memory_order_relaxed);
  g_virtual.store(on, std::memory_order_relaxed);
}

bool enabled() noexcept { return g_virtual.load(std::memory_order_relaxed); }

void advance_to(std::int64_t ns) noexcept {
  if (ns > g_virtual_now.load(std::memory_order_relaxed)) {
    g_virtual_now.store(ns, std::memory_order_relaxed);
  }
}

}  // namespace virtual_time
}  // namespace coev
