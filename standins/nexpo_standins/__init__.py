"""Stand-ins: servers that speak the protocol of what cannot run on a laptop."""
