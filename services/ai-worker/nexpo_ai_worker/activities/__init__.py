"""What the ai-worker does for workflows."""
