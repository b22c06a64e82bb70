"""The file of cases: one line each, on every surface."""
