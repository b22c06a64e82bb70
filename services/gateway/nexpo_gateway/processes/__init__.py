"""Cross-domain workflows and what they need, on the gateway's own queue. Nothing to register."""
