"""Message answers, whole and as server-sent events.

The events and their order: https://docs.claude.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from .errors import ApiError
from .faults import FaultSetting
from .requests import Prompt
from .texts import Answer

LIMITS: Mapping[str, str] = {
    "anthropic-organization-id": "00000000-0000-0000-0000-000000000000",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
}

NONSENSE: Mapping[bool, bytes] = {
    False: b'{"id": "msg_standin", "type": <html>502 Bad Gateway</html>',
    True: b"event: message_start\ndata: <html>502 Bad Gateway</html>\n\n",
}
"""Answers that are no answers, whole and streamed."""

_PIECE = 12


@dataclass(frozen=True, slots=True)
class Reply:
    """A message and the usage to report."""

    message: dict[str, object]
    text: str
    stop_reason: str
    input_tokens: int
    output_tokens: int


def reply(prompt: Prompt, answer: Answer, fault: str) -> Reply:
    """Wraps an answer; `empty` and `refusal` leave it without content."""
    bare = fault in ("empty", "refusal")
    stop_reason = "refusal" if fault == "refusal" else answer.stop_reason
    text = "" if bare else answer.text
    output_tokens = 1 if bare else answer.output_tokens
    message: dict[str, object] = {
        "id": f"msg_standin_{answer.digest[:20]}",
        "type": "message",
        "role": "assistant",
        "model": prompt.model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": _stop_details(stop_reason),
        "usage": _usage(prompt.input_tokens, output_tokens),
    }
    return Reply(message, text, stop_reason, prompt.input_tokens, output_tokens)


async def send_body(
    request: web.Request, headers: Mapping[str, str], reply: Reply, fault: FaultSetting | None
) -> web.StreamResponse:
    """Answers with the whole message."""
    kind = fault.kind if fault else ""
    body = json.dumps(reply.message).encode()
    if kind == "error_event":
        raise ApiError(529)
    if kind == "stall" and fault is not None:
        await asyncio.sleep(fault.seconds)
    if kind == "truncate":
        body = body[: len(body) // 2]
    if kind != "cut":
        return web.Response(body=body, headers=headers, content_type="application/json")
    response = web.StreamResponse(headers={**headers, "content-type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    await abort(request)
    return response


async def send_events(
    request: web.Request, headers: Mapping[str, str], reply: Reply, fault: FaultSetting | None
) -> web.StreamResponse:
    """Answers with events; a fault strikes in the middle of the text."""
    response = web.StreamResponse(
        headers={**headers, "content-type": "text/event-stream; charset=utf-8"}
    )
    response.headers["cache-control"] = "no-cache"
    await response.prepare(request)
    events = list(_events(reply))
    middle = len(events) // 2
    for index, event in enumerate(events):
        if fault is not None and index == middle:
            if fault.kind == "stall":
                await asyncio.sleep(fault.seconds)
            if fault.kind == "cut":
                await abort(request)
            if fault.kind == "error_event":
                event = {
                    "type": "error",
                    "error": {"type": "overloaded_error", "message": "Overloaded"},
                }
            if fault.kind == "truncate":
                break
        await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        if event["type"] == "error":
            break
    await response.write_eof()
    return response


async def abort(request: web.Request) -> None:
    """Resets the connection: what was not sent yet is lost."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    # aiohttp takes this for what it is: the other side is gone.
    raise ConnectionResetError


def _events(reply: Reply) -> Iterator[dict[str, object]]:
    started = {
        **reply.message,
        "content": [],
        "stop_reason": None,
        "stop_details": None,
        "usage": _usage(reply.input_tokens, 1),
    }
    yield {"type": "message_start", "message": started}
    if reply.text:
        yield {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        }
        yield {"type": "ping"}
        for start in range(0, len(reply.text), _PIECE):
            delta = {"type": "text_delta", "text": reply.text[start : start + _PIECE]}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {
            "stop_reason": reply.stop_reason,
            "stop_sequence": None,
            "stop_details": _stop_details(reply.stop_reason),
        },
        "usage": {"output_tokens": reply.output_tokens},
    }
    yield {"type": "message_stop"}


def _usage(input_tokens: int, output_tokens: int) -> dict[str, object]:
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "service_tier": "standard",
    }


def _stop_details(stop_reason: str) -> dict[str, object] | None:
    if stop_reason != "refusal":
        return None
    return {"type": "refusal", "category": None, "explanation": None}
