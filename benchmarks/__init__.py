"""Benchmarks: scripts that print a table; results are in RESULTS.md."""
