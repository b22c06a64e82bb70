"""Who calls: credentials, and what they may do."""
