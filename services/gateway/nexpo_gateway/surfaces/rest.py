"""The REST surface: a transcoder from the contract's google.api.http options."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime import logs, telemetry
from nexpo_runtime.errors import Fault, FieldViolation

from ..calls import CallContext
from ..dispatch import Dispatcher
from ..validation import invalid
from .faults import presentable
from .grpc import MESSAGE_LIMIT, WIRE_LIMIT, too_large
from .http_requests import assemble
from .paths import Matched, Routes
from .problems import problem_response
from .streams import chosen, send_stream

# As in gRPC over HTTP/2, "Timeout".
_TIMEOUT = re.compile(r"^(\d{1,8})([HMSmun])$")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_BODY_SECONDS = 30.0
_QUERY_FIELDS = 200


class RestSurface:
    """An ASGI application that serves the contract over HTTP."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._routes = Routes(dispatcher.contract)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        context = call_context(request)
        name = f"{request.method} {raw_path}"
        with (
            telemetry.span("HTTP", SpanKind.SERVER, telemetry.incoming(context.headers)),
            logs.bound(method=name),
        ):
            try:
                apply_timeout(context)
                matched = self._routes.match(request.method, raw_path)
                if matched.route.rpc.streams:
                    await self._stream(matched, context, request, send)
                    return
                response = await self._answer(matched, context, request)
            except (asyncio.CancelledError, ClientDisconnect):
                raise
            except Exception as error:
                response = problem_response(presentable(error, name))
        response.headers.update(context.trailers)
        await response(scope, receive, send)

    async def _answer(self, matched: Matched, context: CallContext, request: Request) -> Response:
        body = await read_body(request, context)
        query = read_query(request)
        answer = await self._dispatcher.call(
            matched.route.rpc, context, lambda: assemble(matched, query, body)
        )
        content: Any = to_json(answer)
        part = matched.route.response_body
        if part:
            content = content.get(answer.DESCRIPTOR.fields_by_name[part].json_name)
        return JSONResponse(content, headers={"cache-control": "no-store"})

    async def _stream(
        self, matched: Matched, context: CallContext, request: Request, send: Send
    ) -> None:
        body = await read_body(request, context)
        query = read_query(request)

        async def values() -> AsyncGenerator[Any, None]:
            stream = self._dispatcher.stream(
                matched.route.rpc, context, lambda: assemble(matched, query, body)
            )
            async with aclosing(stream), asyncio.timeout(_finite(context.remaining)):
                async for answer in stream:
                    yield to_json(answer)

        form = chosen(context.headers.get("accept", ""))
        async with aclosing(values()) as answers:
            await send_stream(
                answers,
                form,
                context.trailers,
                request.receive,
                send,
                lambda error: presentable(error, matched.route.rpc.path),
            )


def to_json(message: Message) -> dict[str, Any]:
    """A message in proto3's JSON mapping."""
    return json_format.MessageToDict(message)


def call_context(request: Request) -> CallContext:
    """What comes with an HTTP request beside its message."""
    headers = {key.lower(): value for key, value in request.headers.items()}
    return CallContext(headers, request.client.host if request.client else "unknown")


def apply_timeout(context: CallContext) -> None:
    """Sets the deadline of the header grpc-timeout. Raises: Fault: INVALID_ARGUMENT."""
    timeout = context.headers.get("grpc-timeout")
    if timeout is None:
        return
    match = _TIMEOUT.match(timeout)
    if match is None:
        raise invalid([FieldViolation("grpc-timeout", "must be a number and a unit such as 5S")])
    context.deadline = time.monotonic() + int(match[1]) * _UNITS[match[2]]


async def read_body(request: Request, context: CallContext) -> bytes:
    """The body, within the limits of size and time.

    Raises:
        Fault: MESSAGE_TOO_LARGE; DEADLINE_EXCEEDED.
    """
    body, size = bytearray(), 0
    async with asyncio.timeout(context.limit(_BODY_SECONDS)):
        async for chunk in request.stream():
            size += len(chunk)
            if size <= MESSAGE_LIMIT:
                body += chunk
            elif size > WIRE_LIMIT:
                break
    # Only now: a client that is still sending would see a broken connection, not the reason.
    if size > MESSAGE_LIMIT:
        raise too_large()
    return bytes(body)


def read_query(request: Request) -> list[tuple[str, str]]:
    """The query's fields. Raises: Fault: INVALID_ARGUMENT: not UTF-8, or too many."""
    try:
        return parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_QUERY_FIELDS,
        )
    except (UnicodeDecodeError, ValueError):
        raise Fault(Reason.REASON_INVALID_ARGUMENT, "The query cannot be read.") from None


def _finite(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds
