"""Cross-domain workflows, on the gateway's own queue. Discovered: no list to edit."""
