"""The one client of Claude."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

from ..metrics import CLAUDE_CALLS, CLAUDE_TOKENS
from ..settings import AiSettings
from .errors import fault_of, refused, unavailable

if TYPE_CHECKING:  # half a second and 50 MiB, for whoever has switched Claude on
    import anthropic
    from anthropic.types import Message

_CONNECT_SECONDS = 3.0

# At DEBUG these write headers and bodies of requests, and so prompts, into the log.
_TALKATIVE = ("anthropic", "httpx2", "httpcore2")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What to ask.

    Attributes:
        system: What Claude is to do.
        user: On which data.
    """

    system: str
    user: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        text: As Claude wrote it.
        complete: False when it was cut at the limit of tokens.
        model: The model that wrote it.
        input_tokens: Tokens read.
        output_tokens: Tokens written.
    """

    text: str
    complete: bool
    model: str
    input_tokens: int
    output_tokens: int


class Claude:
    """Asks Claude; without an SDK client it is switched off.

    Args:
        sdk: The SDK's client, its own retries off; None when Claude is off.
        model: Name of the model.
        max_tokens: The most tokens of an answer.
        timeout: Seconds until an answer counts as not coming.
    """

    def __init__(
        self, sdk: anthropic.AsyncAnthropic | None, model: str, max_tokens: int, timeout: float
    ) -> None:
        self._sdk = sdk
        self._model = model
        self._max_tokens = max_tokens
        self._timeout = timeout

    async def ask(self, prompt: Prompt, key: str) -> Answer:
        """Asks once; retries are the caller's.

        Args:
            prompt: What to ask.
            key: The same on every attempt of one step; sent as idempotency key.

        Raises:
            Fault: MODEL_UNAVAILABLE, MODEL_REFUSED or MODEL_DISABLED.
        """
        try:
            if self._sdk is None:
                raise Fault(Reason.REASON_MODEL_DISABLED, "Claude is switched off.")
            answer = self._read(await self._stream(self._sdk, prompt, key))
        except Fault as fault:
            CLAUDE_CALLS.labels(fault.name).inc()
            raise
        CLAUDE_CALLS.labels("ok").inc()
        return answer

    async def _stream(self, sdk: anthropic.AsyncAnthropic, prompt: Prompt, key: str) -> Message:
        # Streamed, so that a connection that died shows as silence and not as a long thought.
        try:
            async with (
                asyncio.timeout(self._timeout),
                sdk.messages.stream(
                    model=self._model,
                    max_tokens=self._max_tokens,
                    system=prompt.system,
                    messages=[{"role": "user", "content": prompt.user}],
                    extra_headers={"idempotency-key": quote(key, safe="/~%:")},
                ) as stream,
            ):
                return await stream.get_final_message()
        except Exception as error:
            # All of them: an answer that is no answer makes the SDK raise nearly anything.
            _fail(error)

    def _read(self, message: Message) -> Answer:
        self._count(message)
        text = "".join(block.text for block in message.content if block.type == "text")
        match message.stop_reason:
            case None:
                # A stream that just ends raises nothing in the SDK.
                raise unavailable("Claude's answer broke off.")
            case "end_turn" | "stop_sequence" | "max_tokens":
                complete = message.stop_reason != "max_tokens"
            case other:
                raise refused("Claude declined to answer.", stop_reason=other)
        if not text.strip():
            raise unavailable("Claude's answer was empty.")
        usage = message.usage
        return Answer(text, complete, message.model, usage.input_tokens, usage.output_tokens)

    def _count(self, message: Message) -> None:
        CLAUDE_TOKENS.labels(self._model, "input").inc(message.usage.input_tokens)
        CLAUDE_TOKENS.labels(self._model, "output").inc(message.usage.output_tokens)


@contextlib.asynccontextmanager
async def open_claude(settings: AiSettings) -> AsyncIterator[Claude]:
    """Claude as the settings say; closed at the end of the block."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = settings.claude_model, settings.claude_max_tokens, settings.claude_timeout
    if not settings.enable_claude or settings.anthropic_api_key is None:
        yield Claude(None, *limits)
        return
    import anthropic

    async with anthropic.AsyncAnthropic(
        api_key=settings.anthropic_api_key.get_secret_value(),
        base_url=settings.anthropic_base_url,
        max_retries=0,
        timeout=anthropic.Timeout(settings.claude_timeout, connect=_CONNECT_SECONDS),
    ) as sdk:
        yield Claude(sdk, *limits)


def _fail(error: Exception) -> NoReturn:
    # Without the cause: its text may quote the request, and causes are logged.
    raise fault_of(error) from None
