"""What the cloud-worker does for workflows."""
