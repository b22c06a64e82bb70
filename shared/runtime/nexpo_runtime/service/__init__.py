"""A service's process: how it begins and ends, its health, its HTTP server."""
