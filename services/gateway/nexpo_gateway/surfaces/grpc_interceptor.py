"""What stands around every gRPC handler: span, log and a fault for every failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import Any, TypeAlias

import grpc
from opentelemetry.trace import SpanKind

from nexpo_runtime.errors import Fault, grpc_code
from nexpo_runtime.failures import STATUS_TRAILER
from nexpo_runtime.telemetry import logs, tracing
from nexpo_runtime.worker.serving import text_metadata

from ..calls.faults import UNKNOWN, presentable

Context = grpc.aio.ServicerContext[bytes, bytes]
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


class NothingLeaks(grpc.GenericRpcHandler):
    """Handlers whose calls end with a fault with details, whatever went wrong in them.

    Without it gRPC sends the text of any exception to the caller. Takes handlers as
    a server does; guards a method once, where an interceptor would at every call.

    Args:
        known: Paths of the methods that there are.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._guarded: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """As a server's."""
        self._handlers += handlers

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """As an asyncio server's, which finds them among the generic ones."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        path = handler_call_details.method
        known = self._guarded.get(path)
        if known is not None:
            return known
        for handlers in self._handlers:
            handler: Handler | None = handlers.service(handler_call_details)
            if handler is not None:
                if path not in self._known:
                    # What strangers make up is neither kept nor shown to anybody.
                    return _guard(UNKNOWN, handler)
                self._guarded[path] = _guard(path, handler)
                return self._guarded[path]
        return None


def _guard(path: str, handler: Handler) -> Handler:
    codecs = (handler.request_deserializer, handler.response_serializer)
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(
            _guard_stream(path, handler.stream_stream), *codecs
        )
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(
            _guard_stream(path, handler.unary_stream), *codecs
        )
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(
            _guard_unary(path, handler.stream_unary), *codecs
        )
    return grpc.unary_unary_rpc_method_handler(_guard_unary(path, handler.unary_unary), *codecs)


def _guard_unary(path: str, behaviour: Any) -> Callable[[Any, Context], Awaitable[Any]]:
    async def guarded(request: Any, context: Context) -> Any:
        parent = tracing.incoming(text_metadata(context))
        with (
            tracing.span(path.removeprefix("/"), SpanKind.SERVER, parent),
            logs.bound(method=path),
        ):
            try:
                return await behaviour(request, context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:
                await _abort(context, presentable(error, path))

    return guarded


def _guard_stream(path: str, behaviour: Any) -> Callable[[Any, Context], AsyncIterator[Any]]:
    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        # No span around a stream: a Watch may last for days.
        try:
            async for answer in behaviour(request, context):
                yield answer
        except (asyncio.CancelledError, grpc.aio.AbortError):
            raise
        except Exception as error:
            await _abort(context, presentable(error, path))

    return guarded


async def _abort(context: Context, fault: Fault) -> None:
    status = fault.to_status()
    trailers = tuple(context.trailing_metadata() or ())
    details = (STATUS_TRAILER, status.SerializeToString())
    await context.abort(grpc_code(status.code), fault.message, (*trailers, details))
