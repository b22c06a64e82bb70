"""The REST surface: a transcoder from the contract's google.api.http options."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.trace import SpanKind
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from nexpo_runtime.telemetry import logs, tracing

from ..calls.dispatcher import Dispatcher
from ..calls.faults import UNKNOWN, presentable
from ..context import CallContext
from ..http.bodies import Body
from ..http.heads import apply_timeout, call_context, raw_path, read_query
from ..http.paths import Matched, Routes
from ..http.problems import problem_response
from ..http.requests import assemble
from ..http.streams import chosen, send_stream

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
        with tracing.span("HTTP", SpanKind.SERVER, tracing.incoming(context.headers)):
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


def _finite(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds
