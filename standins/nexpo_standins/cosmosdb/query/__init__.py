"""Queries: `sql` reads them, `evaluate` decides about items, `pages` runs them."""
