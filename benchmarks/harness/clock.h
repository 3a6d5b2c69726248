// Nanoseconds of one of the kernel's clocks.

#ifndef COEV_BENCH_CLOCK_H
#define COEV_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t now_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

#endif
