"""cqsl next to urllib.parse, in one run: python benchmarks/query_strings.py

Prints a line a case: microseconds a call of both (the fastest of several rounds, taken by
turns), how many times faster cqsl is, and the bar. Ends with 1 if a bar is missed.
"""

import sys
import urllib.parse
from timeit import Timer

import cqsl

CASES = [
    ("200 pairs with escapes", "&".join(f"name{i}=v%20%C3%A9+{i}%26" for i in range(200)), 10),
    ("3 short pairs", "a=1&page=2&sort=name", 5),
    ("200 plain pairs", "&".join(f"name{i}=value{i}" for i in range(200)), 5),
    ("a value of 1 MiB", "body=" + "x%20y+" * (2**20 // 6), 5),
]


def fastest(functions, query, seconds=0.1, rounds=7):
    timers = [Timer(lambda f=f: f(query)) for f in functions]
    best = [float("inf")] * len(timers)
    counts = [max(1, int(seconds / max(timer.timeit(1), 1e-7))) for timer in timers]
    for _ in range(rounds):
        for i, (timer, count) in enumerate(zip(timers, counts)):
            best[i] = min(best[i], timer.timeit(count) / count)
    return [value * 1e6 for value in best]


def main():
    missed = 0
    print(f"{'':24}{'function':10}{'cqsl':>12}{'urllib':>12}{'faster':>10}{'bar':>6}")
    for title, query, bar in CASES:
        for name in ("parse_qsl", "parse_qs"):
            ours, theirs = fastest([getattr(cqsl, name), getattr(urllib.parse, name)], query)
            ratio = theirs / ours
            missed += ratio < bar
            print(f"{title:24}{name:10}{ours:9.2f} us{theirs:9.1f} us{ratio:9.1f}x{bar:5}x")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
