"""What the gateway itself does for workflows."""
