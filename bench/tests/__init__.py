"""Tests of the benchmarks themselves: of what is computed, never of how fast anything is."""
