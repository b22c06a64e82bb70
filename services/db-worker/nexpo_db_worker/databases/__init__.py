"""Databases: which are configured and open, and what is told of them."""
