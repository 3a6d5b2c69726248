// The deadlines of timers.py for a process that does nothing but wait for them in turn.
//
// Usage: timers COUNT
// How late it wakes is what the machine allows: on an idle one some 0.1 ms, the slack
// that Linux gives timers; more where the processor, once idle, is lent to others.
// Prints one line of JSON: CPU time of each deadline, and how late they were seen.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../harness/clock.h"

static const double kLongestNs = 2e9;

static int compare(const void *left, const void *right) {
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

static void wait_until(int64_t deadline) {
  struct timespec until = {deadline / 1000000000, deadline % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)) {
  }
}

int main(int count_of_arguments, char **arguments) {
  long count = count_of_arguments == 2 ? strtol(arguments[1], NULL, 10) : 0;
  int64_t *deadlines = count > 0 ? calloc((size_t)count, sizeof *deadlines) : NULL;
  if (!deadlines) {
    fprintf(stderr, "usage: timers COUNT\n");
    return 2;
  }
  int64_t first = now_ns(CLOCK_MONOTONIC) + 100000000;
  srandom(1);
  for (long i = 0; i < count; i++) {
    deadlines[i] = first + (int64_t)((double)random() / RAND_MAX * kLongestNs);
  }
  qsort(deadlines, (size_t)count, sizeof *deadlines, compare);
  int64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
  long early = 0;
  for (long i = 0; i < count; i++) {  // from here on how late each was
    if (now_ns(CLOCK_MONOTONIC) < deadlines[i]) wait_until(deadlines[i]);
    deadlines[i] = now_ns(CLOCK_MONOTONIC) - deadlines[i];
    early += deadlines[i] < 0;
  }
  cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  qsort(deadlines, (size_t)count, sizeof *deadlines, compare);
  printf("{\"cpu\": %.3f, \"early\": %ld, \"p50\": %.4f, \"p99\": %.4f}\n",
         1e-3 * (double)cpu / (double)count, early, 1e-6 * (double)deadlines[count / 2],
         1e-6 * (double)deadlines[count * 99 / 100]);
  free(deadlines);
  return 0;
}
