"""Runs benchmarks: child processes, repeats, verdicts and reports."""
