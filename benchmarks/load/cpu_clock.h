// CPU time of another process, all of its threads, from the kernel's CPU clocks.
//
// The kernel counts the sum to the nanosecond, but learns the user's share from
// its timer tick (250 a second, say): the share needs seconds to be exact.

#ifndef COEV_BENCH_CPU_CLOCK_H
#define COEV_BENCH_CPU_CLOCK_H

#include <sys/types.h>

#include "../harness/clock.h"

typedef struct {
  int64_t total_ns;        // exact
  int64_t ticked_ns;       // user and system, by the tick
  int64_t ticked_user_ns;  // user alone, by the tick
} CpuTime;

enum { kClockTicked = 0, kClockTickedUser = 1, kClockTotal = 2 };

// The ABI of clock ids: the process id, complemented, above three bits of kind.
static inline int64_t cpu_clock_ns(pid_t pid, int kind) {
  return now_ns((clockid_t)(~(unsigned)pid << 3 | (unsigned)kind));
}

static inline CpuTime cpu_time(pid_t pid) {
  return (CpuTime){cpu_clock_ns(pid, kClockTotal), cpu_clock_ns(pid, kClockTicked),
                   cpu_clock_ns(pid, kClockTickedUser)};
}

// Adds what has passed since `from` to `sum`.
static inline void add_cpu_time(CpuTime* sum, CpuTime from, CpuTime to) {
  sum->total_ns += to.total_ns - from.total_ns;
  sum->ticked_ns += to.ticked_ns - from.ticked_ns;
  sum->ticked_user_ns += to.ticked_user_ns - from.ticked_user_ns;
}

// How much of it was in user mode.
static inline double cpu_user_ns(CpuTime sum) {
  if (sum.ticked_ns <= 0) return 0;
  return (double)sum.total_ns * (double)sum.ticked_user_ns / (double)sum.ticked_ns;
}

#endif
