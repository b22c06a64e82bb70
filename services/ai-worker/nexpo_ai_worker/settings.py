"""Settings of the ai-worker."""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside, https

DEFAULT_MODEL = "claude-haiku-5-5"


class AiSettings(Settings):
    """What the ai-worker reads from the environment.

    Attributes:
        enable_claude: Whether Claude is asked at all.
        anthropic_api_key: Needed when it is.
        anthropic_base_url: Where the Messages API is.
        claude_model: Name of the model.
        claude_max_tokens: The most tokens an answer may have.
        claude_timeout: Seconds until an answer counts as not coming.
    """

    service: ClassVar[str] = "nexpo-ai"

    enable_claude: bool = False
    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: Annotated[str, Outside(https)] = "https://api.anthropic.com"
    claude_model: str = Field(DEFAULT_MODEL, min_length=1)
    claude_max_tokens: int = Field(1024, ge=64, le=8192)
    claude_timeout: float = Field(15.0, gt=0, le=300)

    def claude_state(self) -> str:
        """ "on", or "off: why"."""
        return "on" if self.enable_claude else "off: ENABLE_CLAUDE is false"

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        problems = super().problems()
        url = urlsplit(self.anthropic_base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            problems.append("ANTHROPIC_BASE_URL: not a http:// or https:// URL; correct it")
        if self.enable_claude and self.anthropic_api_key is None:
            problems.append(
                "ANTHROPIC_API_KEY: not set, but ENABLE_CLAUDE is true; set it, or set "
                "ENABLE_CLAUDE=false"
            )
        return problems
