"""The golden vectors of the worker protocol: what goes in, and what must come out."""
