"""A contract of the benchmarks' own: the smallest operation, and one that waits."""
