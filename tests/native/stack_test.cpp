#include "core/stack.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "harness.h"

namespace coev {
namespace {

using testing::died_of_bad_access;
using testing::exited_with;
using testing::status_of_child;

constexpr std::size_t kBytes = 256 * 1024;

std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// Leaves room for `bytes` more than the process has mapped.
rlimit limit_address_space(std::size_t bytes) {
  std::size_t mapped_pages = 0;
  std::FILE* statm = std::fopen("/proc/self/statm", "r");
  if (statm == nullptr || std::fscanf(statm, "%zu", &mapped_pages) != 1) std::abort();
  std::fclose(statm);
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit limit = before;
  limit.rlim_cur = mapped_pages * page() + bytes;
  setrlimit(RLIMIT_AS, &limit);
  return before;
}

std::size_t resident_pages(const Stack& stack) {
  std::vector<unsigned char> pages(stack.bytes / page());
  if (mincore(stack.low, stack.bytes, pages.data()) != 0) return SIZE_MAX;
  std::size_t resident = 0;
  for (const unsigned char each : pages) resident += each & 1U;
  return resident;
}

void fill(const Stack& stack, int byte) { std::memset(stack.low, byte, stack.bytes); }

bool holds(const Stack& stack, char byte) {
  const char* bytes = static_cast<char*>(stack.low);
  for (std::size_t i = 0; i < stack.bytes; ++i) {
    if (bytes[i] != byte) return false;
  }
  return true;
}

TEST(StackPool, RoundsUpToWholePages) {
  StackPool pool;
  const Stack stack = pool.allocate(kBytes + 1);
  ASSERT_NE(stack.low, nullptr);
  EXPECT_EQ(stack.bytes, kBytes + page());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(stack.low) % page(), 0U);
  EXPECT_EQ(pool.allocate(1).bytes, StackPool::kMinimumBytes);
}

TEST(StackPool, OverrunDiesOnTheGuardPage) {
  StackPool pool;
  static_cast<void>(pool.allocate(kBytes));
  const Stack stack = pool.allocate(kBytes);
  const int status = status_of_child([&] {
    static_cast<volatile char*>(stack.low)[-1] = 1;
    return 0;
  });
  EXPECT_TRUE(died_of_bad_access(status)) << status;
}

TEST(StackPool, GuardOutlivesTrimAndRelease) {
  StackPool pool;
  Stack stack = pool.allocate(kBytes);
  fill(stack, 1);
  StackPool::trim(stack, 8192);
  pool.release(stack);
  stack = pool.allocate(kBytes);
  const int status = status_of_child([&] {
    static_cast<volatile char*>(stack.low)[-1] = 1;
    return 0;
  });
  EXPECT_TRUE(died_of_bad_access(status)) << status;
}

TEST(StackPool, StacksDoNotOverlap) {
  StackPool pool;
  const Stack stacks[] = {pool.allocate(kBytes), pool.allocate(kBytes), pool.allocate(kBytes)};
  for (int i = 0; i < 3; ++i) fill(stacks[i], 'a' + i);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(holds(stacks[i], static_cast<char>('a' + i)));
}

__attribute__((noinline)) int recurse(int depth) {
  volatile char frame[512];
  frame[0] = static_cast<char>(depth);
  return depth < 0 ? frame[0] : recurse(depth + 1) + frame[0];
}

TEST(StackPool, EndlessRecursionInACoroutineDies) {
  const int status = status_of_child([] {
    testing::Group group;
    group.spawn([] { recurse(0); });
    group.join();
    return 0;
  });
  EXPECT_TRUE(died_of_bad_access(status)) << status;
}

TEST(StackPool, ReusesAReleasedStackOfTheSameSizeOnly) {
  StackPool pool;
  const Stack small = pool.allocate(kBytes);
  pool.release(small);
  const Stack large = pool.allocate(2 * kBytes);
  EXPECT_NE(large.low, small.low);
  EXPECT_EQ(pool.allocate(kBytes).low, small.low);
  EXPECT_EQ(pool.size(), 2U);
}

TEST(StackPool, ReleaseGivesTheMemoryBack) {
  StackPool pool;
  const Stack stack = pool.allocate(kBytes);
  fill(stack, 7);
  EXPECT_EQ(resident_pages(stack), kBytes / page());
  pool.release(stack);
  if (!testing::under_valgrind()) {
    EXPECT_EQ(resident_pages(stack), 0U);
  }
  EXPECT_TRUE(holds(stack, 0));
}

TEST(StackPool, TrimKeepsTheTopAndReturnsTheRest) {
  StackPool pool;
  const Stack stack = pool.allocate(kBytes);
  fill(stack, 7);
  StackPool::trim(stack, StackPool::kKeptBytes);
  if (!testing::under_valgrind()) {
    EXPECT_EQ(resident_pages(stack), StackPool::kKeptBytes / page());
  }
  EXPECT_TRUE(holds({stack.top() - StackPool::kKeptBytes, StackPool::kKeptBytes}, 7));
  EXPECT_EQ(*static_cast<char*>(stack.low), 0);
}

TEST(StackPool, AllocateFailsCleanlyWithoutAddressSpace) {
  if (testing::slow()) GTEST_SKIP() << "the tool needs the address space itself";
  const int status = status_of_child([] {
    const rlimit before = limit_address_space(200 * 1024 * 1024);
    StackPool pool;
    std::size_t stacks = 0;
    while (pool.allocate(1024 * 1024).low != nullptr) ++stacks;
    if (stacks == 0 || pool.size() != stacks) return 1;
    if (pool.allocate(1024 * 1024).low != nullptr || pool.size() != stacks) return 2;
    setrlimit(RLIMIT_AS, &before);
    const Stack stack = pool.allocate(1024 * 1024);
    if (stack.low == nullptr) return 3;
    fill(stack, 1);
    return 0;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

TEST(StackPool, SpawnFailsCleanlyWithoutAddressSpace) {
  if (testing::slow()) GTEST_SKIP() << "the tool needs the address space itself";
  const int status = status_of_child([] {
    Scheduler& scheduler = Scheduler::get();
    limit_address_space(200 * 1024 * 1024);
    static int ran = 0;
    int spawned = 0;
    while (scheduler.spawn([](void*) { ++ran; }, nullptr, nullptr) != nullptr) ++spawned;
    if (spawned == 0) return 1;
    testing::yield_turns(2);
    if (ran != spawned) return 2;
    return scheduler.spawn([](void*) { ++ran; }, nullptr, nullptr) != nullptr ? 0 : 3;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

}  // namespace
}  // namespace coev
