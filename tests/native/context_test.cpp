#include "core/context.h"

#include <fenv.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "harness.h"

namespace coev {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;

// A context on memory of its own, and the one it was entered from.
struct Side {
  explicit Side(void (*run)(Side&)) : body(run), memory(new char[kStackBytes]) {
    sanitizer::create(fiber, memory.get(), kStackBytes);
    sanitizer::adopt_native_stack(caller_fiber);
    context.prepare(memory.get(), kStackBytes, enter, this);
  }
  ~Side() { sanitizer::destroy(fiber); }

  void go() {
    sanitizer::before_switch(caller_fiber, fiber);
    Context::switch_between(caller, context);
    sanitizer::after_switch(caller_fiber, fiber);
  }
  void back() {
    sanitizer::before_switch(fiber, caller_fiber);
    Context::switch_between(context, caller);
    sanitizer::after_switch(fiber, caller_fiber);
  }
  static void enter(void* argument) {
    auto& side = *static_cast<Side*>(argument);
    sanitizer::after_switch(side.fiber, side.caller_fiber);
    side.body(side);
    for (;;) side.back();
  }

  void (*body)(Side&);
  std::unique_ptr<char[]> memory;
  Context context;
  Context caller;
  sanitizer::Fiber fiber;
  sanitizer::Fiber caller_fiber;
  std::uint64_t number = 0;
};

TEST(Context, RunsItsEntryOnTheStackItWasGiven) {
  Side side([](Side& self) {
    char local = 0;
    const char* address = static_cast<char*>(__builtin_frame_address(0));
    self.number = address > self.memory.get() && address <= self.memory.get() + kStackBytes;
    static_cast<void>(local);
  });
  side.go();
  EXPECT_EQ(side.number, 1U);
}

TEST(Context, EntersWithAnAlignedStack) {
  Side side([](Side& self) {
    alignas(16) char block[16];
    std::snprintf(block, sizeof block, "%.3f", 1.5);  // aligned vector moves in the C library
    const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    self.number = frame % 16 == 0 && std::strcmp(block, "1.500") == 0;
  });
  side.go();
  EXPECT_EQ(side.number, 1U);
}

TEST(Context, ComesBackToWhereItLeft) {
  Side side([](Side& self) {
    for (int i = 0; i < 3; ++i) {
      ++self.number;
      self.back();
    }
    self.number = 100;
  });
  for (std::uint64_t expected : {1U, 2U, 3U, 100U}) {
    side.go();
    EXPECT_EQ(side.number, expected);
  }
}

// More live values than there are registers, on both sides of each switch.
__attribute__((noinline)) std::uint64_t mix(Side& side, std::uint64_t seed, bool outside) {
  std::uint64_t a = seed, b = a * 3, c = b + 7, d = c * 5, e = d ^ a, f = e + b, g = f * 9,
                h = g ^ c;
  double x = 1.0 + static_cast<double>(seed), y = x / 3, z = y * 7;
  for (int i = 0; i < 1000; ++i) {
    outside ? side.go() : side.back();
    a += b, b ^= c, c += d, d ^= e, e += f, f ^= g, g += h, h ^= a;
    x = x / 1.5 + 1, y = y * 0.5 + x, z = z * 0.25 + y;
  }
  return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ static_cast<std::uint64_t>((x + y + z) * 1e6);
}

TEST(Context, KeepsRegistersAcrossSwitches) {
  Side first([](Side& self) { self.number = mix(self, 11, false); });
  Side second([](Side& self) { self.number = mix(self, 11, false); });
  const std::uint64_t outside_first = mix(first, 42, true);
  const std::uint64_t outside_second = mix(second, 42, true);
  first.go(), second.go();
  EXPECT_EQ(outside_first, outside_second);
  EXPECT_EQ(first.number, second.number);
  EXPECT_NE(first.number, 0U);
}

TEST(Context, KeepsTheRoundingModeOfEachSide) {
  ASSERT_EQ(fegetround(), FE_TONEAREST);
  Side side([](Side& self) {
    self.number = fegetround() == FE_TONEAREST;
    fesetround(FE_UPWARD);
    self.back();
    self.number += fegetround() == FE_UPWARD;
  });
  side.go();
  EXPECT_EQ(fegetround(), FE_TONEAREST);
  fesetround(FE_DOWNWARD);
  side.go();
  EXPECT_EQ(fegetround(), FE_DOWNWARD);
  fesetround(FE_TONEAREST);
  EXPECT_EQ(side.number, 2U);
}

TEST(Context, StartsWithTheRoundingModeOfItsMaker) {
  fesetround(FE_TOWARDZERO);
  Side side([](Side& self) { self.number = fegetround() == FE_TOWARDZERO; });
  fesetround(FE_TONEAREST);
  side.go();
  EXPECT_EQ(side.number, 1U);
}

}  // namespace
}  // namespace coev
