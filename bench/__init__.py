"""What the house costs, measured: `make bench`, or `python -m bench --quick` while writing it."""
