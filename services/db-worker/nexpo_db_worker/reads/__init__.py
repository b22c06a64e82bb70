"""What the db-worker answers to the gateway directly."""
