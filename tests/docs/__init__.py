"""The documentation, held against what is there."""
