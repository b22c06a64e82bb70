"""Claude, through Anthropic's SDK."""
