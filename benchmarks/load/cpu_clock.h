// CPU time of another process, all of its threads, from the kernel's CPU clocks.
//
// The kernel counts the sum to the nanosecond, but learns the user's share from
// its timer tick (250 a second, say): the share needs seconds to be exact.

#ifndef COEV_BENCH_CPU_CLOCK_H
#define COEV_BENCH_CPU_CLOCK_H

#include <sys/types.h>
#include <time.h>

typedef struct {
  double total_s;        // exact
  double ticked_s;       // user and system, by the tick
  double ticked_user_s;  // user alone, by the tick
} CpuTime;

enum { kClockTicked = 0, kClockTickedUser = 1, kClockTotal = 2 };

// The ABI of clock ids: the process id, complemented, above three bits of kind.
static inline double cpu_clock_s(pid_t pid, int kind) {
  struct timespec now = {0, 0};
  clock_gettime((clockid_t)(~(unsigned)pid << 3 | (unsigned)kind), &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline CpuTime cpu_time(pid_t pid) {
  return (CpuTime){cpu_clock_s(pid, kClockTotal), cpu_clock_s(pid, kClockTicked),
                   cpu_clock_s(pid, kClockTickedUser)};
}

// The user's share of the time between two readings, in seconds.
static inline double cpu_user_s(CpuTime from, CpuTime to) {
  double ticked = to.ticked_s - from.ticked_s;
  if (ticked <= 0) return 0;
  return (to.total_s - from.total_s) * (to.ticked_user_s - from.ticked_user_s) / ticked;
}

#endif
