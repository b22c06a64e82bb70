"""Health: every queue answers, and serves what the contract says."""
