"""Users: written once, over fences and records of whatever databases there are."""
