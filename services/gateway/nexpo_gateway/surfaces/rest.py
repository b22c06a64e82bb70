"""The REST surface: a transcoder from the contract's google.api.http options."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.telemetry import logs
from nexpo_runtime.telemetry import tracing as telemetry

from ..calls import CallContext
from ..dispatch import Dispatcher
from ..validation import invalid
from .bodies import Body
from .faults import UNKNOWN, presentable
from .http_requests import assemble
from .paths import Matched, Routes
from .problems import problem_response
from .streams import chosen, send_stream

# As in gRPC over HTTP/2, "Timeout".
_TIMEOUT = re.compile(r"^(\d{1,8})([HMSmun])$")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_QUERY_FIELDS = 200

# Bytes of JSON or of an answer up to which a thread would cost more than the work.
_SMALL = 16 * 1024
_LARGE_AT_ONCE = 2

Result = TypeVar("Result")


class RestSurface:
    """An ASGI application that serves the contract over HTTP."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._routes = Routes(dispatcher.contract)
        # What is large is read and shown here, a piece at a time beside the event loop.
        self._threads = ThreadPoolExecutor(_LARGE_AT_ONCE, thread_name_prefix="json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        context = call_context(request)
        body = Body(request.headers, receive)
        with telemetry.span("HTTP", SpanKind.SERVER, telemetry.incoming(context.headers)):
            name = UNKNOWN
            try:
                self._dispatcher.arrived(context)
                apply_timeout(context)
                matched = self._routes.match(request.method, raw_path(scope))
                # The path holds what the caller likes; what is logged is the method's own name.
                name = matched.route.rpc.path
                with logs.bound(method=name):
                    read = self._reading(matched, request, context, body)
                    if matched.route.rpc.streams:
                        await self._stream(matched, context, read, receive, send)
                        return
                    response = await self._answer(matched, context, read)
            except (asyncio.CancelledError, ClientDisconnect):
                raise
            except Exception as error:
                response = problem_response(presentable(error, name))
        response.headers.update(context.trailers)
        await body.answer(response, scope, send)

    def _reading(
        self, matched: Matched, request: Request, context: CallContext, body: Body
    ) -> Callable[[], Awaitable[Message]]:
        async def read() -> Message:
            query = read_query(request)
            content = await body.read(context)
            return await self._apart(len(content), lambda: assemble(matched, query, content))

        return read

    async def _answer(
        self, matched: Matched, context: CallContext, read: Callable[[], Awaitable[Message]]
    ) -> Response:
        answer = await self._dispatcher.call(matched.route.rpc, context, read)
        return await self._apart(answer.ByteSize(), lambda: _shown(matched, answer))

    async def _apart(self, size: int, work: Callable[[], Result]) -> Result:
        """What the work gives; work on many bytes is done beside the event loop."""
        if size <= _SMALL:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _stream(
        self,
        matched: Matched,
        context: CallContext,
        read: Callable[[], Awaitable[Message]],
        receive: Receive,
        send: Send,
    ) -> None:
        async def values() -> AsyncGenerator[Any, None]:
            stream = self._dispatcher.stream(matched.route.rpc, context, read)
            async with aclosing(stream), asyncio.timeout(_finite(context.remaining)):
                async for answer in stream:
                    yield to_json(answer)

        form = chosen(context.headers.get("accept", ""))
        async with aclosing(values()) as answers:
            await send_stream(
                answers,
                form,
                context.trailers,
                receive,
                send,
                lambda error: presentable(error, matched.route.rpc.path),
            )


def _shown(matched: Matched, answer: Message) -> Response:
    content: Any = to_json(answer)
    part = matched.route.response_body
    if part:
        content = content.get(answer.DESCRIPTOR.fields_by_name[part].json_name)
    return JSONResponse(content, headers={"cache-control": "no-store"})


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


def raw_path(scope: Scope) -> str:
    """The path as it was sent, still percent-encoded."""
    raw: bytes = scope.get("raw_path", scope["path"].encode())
    return raw.decode("latin-1")


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
