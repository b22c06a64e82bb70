"""The link to Temporal, and what travels over it."""
