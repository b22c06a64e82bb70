"""Streams over HTTP: server-sent events, or one JSON value a line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Send

from nexpo_runtime.errors import Fault

from .problems import problem

_KEEP_ALIVE_SECONDS = 15.0

Encode = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Format:
    """How a stream looks on the wire.

    Attributes:
        content_type: As the header has it.
        value: Shows one value.
        error: Shows the problem with which the stream ends.
        keep_alive: Sent in silence, so that proxies do not cut the connection; empty where
            the form has nothing that readers pass over: then the latest value comes again.
    """

    content_type: str
    value: Encode
    error: Encode
    keep_alive: str


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# Source: WHATWG HTML, "Server-sent events".
EVENTS = Format(
    content_type="text/event-stream; charset=utf-8",
    value=lambda value: f"data: {_json(value)}\n\n",
    error=lambda value: f"event: error\ndata: {_json(value)}\n\n",
    keep_alive=": still here\n\n",
)
LINES = Format(
    content_type="application/x-ndjson",
    value=lambda value: _json(value) + "\n",
    error=lambda value: _json({"error": value}) + "\n",
    keep_alive="",
)


def chosen(accept: str) -> Format:
    """The format that the Accept header asks for; lines unless it asks for events."""
    return EVENTS if "text/event-stream" in accept.lower() else LINES


async def send_stream(
    values: AsyncIterator[Any],
    form: Format,
    headers: Mapping[str, str],
    receive: Receive,
    send: Send,
    presentable: Callable[[Exception], Fault],
) -> None:
    """Sends values as they come, until they end or the client has gone.

    The first value is awaited before the response begins.

    Raises:
        Exception: Whatever ends the stream before its first value.
    """
    gone = asyncio.create_task(_disconnected(receive))
    following: asyncio.Future[Any] | None = None
    began, last = False, ""
    try:
        while not gone.done():
            following = following or asyncio.ensure_future(anext(values))
            await asyncio.wait(
                {following, gone},
                timeout=_KEEP_ALIVE_SECONDS if began else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not following.done():
                await _send_text(send, form.keep_alive or last)
                continue
            done, following = following, None
            try:
                value = done.result()
            except StopAsyncIteration:
                break
            except Exception as error:
                if not began:
                    raise
                await _send_text(send, form.error(problem(presentable(error))))
                break
            if not began:
                began = True
                await _begin(send, form, headers)
            last = form.value(value)
            await _send_text(send, last)
        if began:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()
        if following is not None:
            following.cancel()


async def _begin(send: Send, form: Format, headers: Mapping[str, str]) -> None:
    own = {"content-type": form.content_type, "cache-control": "no-store"}
    # Proxies such as nginx would hold small pieces back.
    own["x-accel-buffering"] = "no"
    raw = [(key.encode(), value.encode("latin-1")) for key, value in {**own, **headers}.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


async def _send_text(send: Send, text: str) -> None:
    if text:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
