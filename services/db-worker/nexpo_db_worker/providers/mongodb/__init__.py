"""MongoDB, over motor."""
