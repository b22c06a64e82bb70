"""What a caller may send, checked as the API checks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import ApiError

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
"""What `anthropic-version` may say."""

MODELS: Mapping[str, str] = {
    "claude-opus-5-5": "Claude Opus 5.5",
    "claude-sonnet-5-5": "Claude Sonnet 5.5",
    "claude-haiku-5-5": "Claude Haiku 5.5",
    "claude-haiku-4-5": "Claude Haiku 4.5",
}
"""Names that a request may use; whichever it is, the same fixed sentences answer."""

_FIELDS = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stream",
        "metadata",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "thinking",
        "tools",
        "tool_choice",
        "service_tier",
        "output_config",
        "cache_control",
    }
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request that was found good.

    Attributes:
        model: Name asked for.
        max_tokens: Where the answer is cut.
        stream: Whether it is sent as events.
        system: Text of the system prompt.
        user: Text of the last message of the user.
        input_tokens: How many tokens all of it counts.
    """

    model: str
    max_tokens: int
    stream: bool
    system: str
    user: str
    input_tokens: int


def check_headers(headers: Mapping[str, str], api_key: str) -> None:
    """Raises ApiError when key or version are missing or wrong."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    sent = headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
    if not sent:
        raise ApiError(401, "x-api-key header is required")
    if sent != api_key:
        raise ApiError(401)
    version = headers.get("anthropic-version", "")
    if not version:
        raise ApiError(400, "anthropic-version: header is required")
    if version not in VERSIONS:
        raise ApiError(400, f'anthropic-version: "{version}" is not a valid version')


def parse(raw: bytes, *, counting: bool = False) -> Prompt:
    """Reads a body.

    Args:
        raw: The body.
        counting: Whether it is for count_tokens, where max_tokens is not given.

    Raises:
        ApiError: It is not what the API takes.
    """
    try:
        body = json.loads(raw)
    except ValueError:
        raise ApiError(400, "The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise ApiError(400, "Input should be a valid dictionary")
    for name in sorted(body.keys() - _FIELDS):
        raise ApiError(400, f"{name}: Extra inputs are not permitted")
    for name in ("model", "messages") + (() if counting else ("max_tokens",)):
        if name not in body:
            raise ApiError(400, f"{name}: Field required")
    model, max_tokens, stream = body["model"], body.get("max_tokens", 1), body.get("stream", False)
    if not isinstance(model, str):
        raise ApiError(400, "model: Input should be a valid string")
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        raise ApiError(400, "max_tokens: Input should be greater than or equal to 1")
    if not isinstance(stream, bool):
        raise ApiError(400, "stream: Input should be a valid boolean")
    if model not in MODELS:
        raise ApiError(404, f"model: {model}")
    system = _text(body.get("system", ""), "system")
    texts = _conversation(body["messages"])
    return Prompt(model, max_tokens, stream, system, texts[-1], tokens(system, *texts))


def tokens(*texts: str) -> int:
    """A count of tokens: about four characters each, a few more for each text."""
    return sum(3 + len(text) // 4 for text in texts)


def _conversation(messages: object) -> list[str]:
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "messages: at least one message is required")
    texts = []
    for index, message in enumerate(messages):
        path = f"messages.{index}"
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise ApiError(400, f"{path}.role: Input should be 'user' or 'assistant'")
        texts.append(_text(message.get("content"), f"{path}.content"))
    if messages[-1]["role"] != "user":
        raise ApiError(400, "This model does not support assistant message prefill.")
    if not texts[-1].strip():
        raise ApiError(400, f"messages.{len(texts) - 1}: user messages must have non-empty content")
    return texts


def _text(content: object, path: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ApiError(400, f"{path}: Input should be a valid string or list")
    parts = []
    for index, block in enumerate(content):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise ApiError(400, f"{path}.{index}.type: this stand-in takes text only")
        if not isinstance(block.get("text"), str):
            raise ApiError(400, f"{path}.{index}.text: Field required")
        parts.append(block["text"])
    return "\n".join(parts)
