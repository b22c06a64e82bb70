"""What the db-worker does for workflows."""
