// A load that takes turns with others: it measures when it is told to, again and again.
//
// Whoever runs it gives it a line for each turn, and gets a line of JSON about all turns so
// far. A turn ends when every reply has come: in between the server has nothing to do.

#ifndef COEV_BENCH_TURNS_H
#define COEV_BENCH_TURNS_H

#include <stdint.h>
#include <stdio.h>

#include "../harness/clock.h"
#include "cpu_clock.h"

typedef struct {
  pid_t server;
  uint64_t replies;  // of all turns
  int64_t taken_ns;  // that they took, by the wall
  CpuTime cpu;       // that they took of the server's
  int64_t began_ns;  // the turn under way
  CpuTime cpu_before;
} Turns;

// Waits to be told to go on; returns 0 if that will not come.
static inline int next_turn(void) {
  fflush(stdout);
  for (int letter = 0; letter != '\n';) {
    letter = getchar();
    if (letter == EOF) return 0;
  }
  return 1;
}

static inline void begin_turn(Turns* turns) {
  turns->cpu_before = cpu_time(turns->server);
  turns->began_ns = now_ns(CLOCK_MONOTONIC);
}

static inline void end_turn(Turns* turns, uint64_t replies) {
  turns->taken_ns += now_ns(CLOCK_MONOTONIC) - turns->began_ns;
  add_cpu_time(&turns->cpu, turns->cpu_before, cpu_time(turns->server));
  turns->replies += replies;
}

// Prints what all turns measured; `more` are further members of the object.
static inline void print_turns(const Turns* turns, const char* more) {
  double count = (double)turns->replies, cpu_us = 1e-3 * (double)turns->cpu.total_ns / count;
  double user_us = 1e-3 * cpu_user_ns(turns->cpu) / count;
  printf(
      "{\"requests\": %.0f, \"rate\": %.1f, \"cpu\": %.4f, \"user\": %.4f, \"system\": %.4f%s}\n",
      count, 1e9 * count / (double)turns->taken_ns, cpu_us, user_us, cpu_us - user_us, more);
}

#endif
