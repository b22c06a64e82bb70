"""The same request many times, and many requests for the same thing."""
