"""A stream that has nothing new to say is kept alive, in a way that its readers understand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from nexpo_gateway.http import streams
from nexpo_gateway.http.streams import EVENTS, LINES, Format
from nexpo_runtime.errors import Fault


@pytest.mark.parametrize(
    ("form", "silence"),
    [(LINES, '{"n":1}\n'), (EVENTS, ": still here\n\n")],
    ids=["lines", "events"],
)
async def test_what_is_sent_in_silence_breaks_no_reader(
    form: Format, silence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_KEEP_ALIVE_SECONDS", 0.01)
    quiet = asyncio.Event()
    sent: list[str] = []

    async def values() -> AsyncIterator[dict[str, int]]:
        yield {"n": 1}
        await quiet.wait()
        yield {"n": 2}

    async def send(message: Message) -> None:
        if body := message.get("body", b""):
            sent.append(body.decode())
        if len(sent) == 3:
            quiet.set()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("it never disconnects")

    def presentable(error: Exception) -> Fault:
        raise AssertionError("nothing fails") from error

    async with asyncio.timeout(90):
        await streams.send_stream(values(), form, {}, receive, send, presentable)
    one: Any = form.value({"n": 1})
    assert sent[:3] == [one, silence, silence]
    assert sent[-1] == form.value({"n": 2})
