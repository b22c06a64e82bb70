"""What the ai-worker counts."""

from prometheus_client import Counter

CLAUDE_TOKENS = Counter(
    "nexpo_claude_tokens", "Tokens read (input) and written (output).", ["model", "direction"]
)
CLAUDE_CALLS = Counter(
    "nexpo_claude_calls",
    "Calls of Claude, by outcome: ok or a reason of the catalogue.",
    ["outcome"],
)
