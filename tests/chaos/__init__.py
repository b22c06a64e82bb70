"""Faults from outside on real processes: kill matrix, world faults, and load with a killer."""
