"""What the gateway shares with nobody behind it: HTTP, pages, the way to the workers."""
