"""A contract that the gateway has never seen, its workflow and its worker."""
