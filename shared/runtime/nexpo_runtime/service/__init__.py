"""A service's process: its settings, its health, how it begins and ends."""
