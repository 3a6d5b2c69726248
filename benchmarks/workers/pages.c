// What it costs to change some lines of pages that lie apart, as the tops of stacks do: the
// limit of what switches among many can cost.
//
// Usage: pages APART_KIB LINES TOGETHER COUNT
// Takes COUNT pages, APART_KIB from one to the next, in random order, and changes LINES
// cache lines of each. Before, the processor is told to fetch them: from 2 * TOGETHER
// pages ahead on one line of so many pages at a time, then from the second next page the
// others. TOGETHER 0: nothing is fetched. One page is not changed before the last one has
// been read, as one coroutine does not run before the last one has switched, and there is
// some work in between. Prints the nanoseconds for each page, the least of eight rounds,
// among the first hundred ("few") and among all ("switch"), as JSON.
//
// The scheduler without and with its fetching ahead: pages 1540 17 0 100000 and 1540 17 8 100000

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../harness/clock.h"

enum { kLineBytes = 64, kMostLines = 32, kRounds = 8, kWork = 40, kFew = 100 };

static void shuffle(char **pages, long count) {
  srandom(1);
  for (long i = count - 1; i > 0; i--) {
    long other = random() % (i + 1);
    char *page = pages[i];
    pages[i] = pages[other];
    pages[other] = page;
  }
}

static double round_ns(char **pages, long count, int lines, int together) {
  static volatile uint64_t nothing;  // 0, which the compiler does not know
  uint64_t zero = nothing, last = 0;
  int64_t began = now_ns(CLOCK_MONOTONIC);
  for (long i = 0; i < count; i++) {
    if (together && i % together == 0) {
      for (int k = 0; k < together && i + 2 * together + k < count; k++) {
        __builtin_prefetch(pages[i + 2 * together + k]);
      }
    }
    for (int k = 1; together && i + 2 < count && k < lines; k++) {
      __builtin_prefetch(pages[i + 2] + k * kLineBytes);
    }
    char *page = pages[i] + (last & zero);
    for (int k = 0; k < lines; k++) page[k * kLineBytes]++;
    for (int k = 0; k < lines; k++) last += (unsigned char)page[k * kLineBytes];
    for (int k = 0; k < kWork; k++) last = last * 3 + 1;
  }
  return (double)(now_ns(CLOCK_MONOTONIC) - began) / (double)count;
}

static double least_ns(char **pages, long count, int lines, int together) {
  double least = round_ns(pages, count, lines, together);  // some are touched for the first time
  for (int i = 0; i < kRounds; i++) {
    double ns = round_ns(pages, count, lines, together);
    if (ns < least) least = ns;
  }
  return least;
}

int main(int count_of_arguments, char **arguments) {
  long number[4] = {0};
  for (int i = 1; i < count_of_arguments && i <= 4; i++) {
    number[i - 1] = strtol(arguments[i], NULL, 10);
  }
  size_t apart = (size_t)number[0] * 1024;
  int lines = (int)number[1], together = (int)number[2];
  long count = number[3];
  if (count < kFew || apart < 4096 || lines <= 0 || lines > kMostLines || together < 0) {
    fprintf(stderr, "usage: pages APART_KIB LINES TOGETHER COUNT\n");
    return 2;
  }
  char *memory = mmap(NULL, (size_t)count * apart, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  char **pages = calloc((size_t)count, sizeof *pages);
  if (memory == MAP_FAILED || !pages) {
    perror("pages");
    return 1;
  }
  madvise(memory, (size_t)count * apart, MADV_NOHUGEPAGE);
  for (long i = 0; i < count; i++) pages[i] = memory + (size_t)i * apart;
  shuffle(pages, count);
  printf("{\"few\": %.1f, \"switch\": %.1f}\n", least_ns(pages, kFew, lines, together),
         least_ns(pages, count, lines, together));
  return 0;
}
