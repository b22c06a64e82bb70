"""The gRPC surface: generic handlers from the contract, reflection, health.

Sources: google.rpc.Status in `grpc-status-details-bin` as in gRPC's richer error
model; grpc.health.v1; grpc.reflection.v1alpha.
"""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

import grpc
from google.longrunning import operations_pb2 as longrunning
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from opentelemetry.trace import SpanKind

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime import logs, telemetry
from nexpo_runtime.errors import Fault, grpc_code
from nexpo_runtime.failures import STATUS_TRAILER
from nexpo_runtime.serving import SERVER_OPTIONS, text_metadata
from nexpo_runtime.settings import Settings

from ..calls import CallContext
from ..contract import Contract, Rpc
from ..dispatch import Dispatcher
from .faults import presentable

MESSAGE_LIMIT = 4 * 1024 * 1024
"""Bytes that a request may have."""

WIRE_LIMIT = 32 * 1024 * 1024
"""Bytes that are read at most; up to here we can say why a request is refused."""

_LONGRUNNING = "google.longrunning.Operations"
_OPERATIONS = "nexpo.operations.v1.OperationService"
_PEER = re.compile(r"^ipv[46]:(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+)):\d+$")

Context = grpc.aio.ServicerContext[bytes, bytes]
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


class GrpcSurface:
    """Serves the contract over gRPC."""

    def __init__(self, settings: Settings, dispatcher: Dispatcher) -> None:
        """Prepares the server; `start` binds it to GRPC_ADDRESS."""
        self._settings = settings
        self._dispatcher = dispatcher
        self._stopping = False
        options = [
            *SERVER_OPTIONS,
            ("grpc.max_receive_message_length", WIRE_LIMIT),
            ("grpc.max_send_message_length", WIRE_LIMIT),
        ]
        self._server = grpc.aio.server(options=options)
        self._health = health.aio.HealthServicer()
        self._services = [*dispatcher.contract.services, _LONGRUNNING, health.SERVICE_NAME]
        self._methods = methods(dispatcher.contract)
        handlers = _NothingLeaks(self._methods)
        registrar = cast(grpc.aio.Server, handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, registrar)
        reflected = reflection.aio.ReflectionServicer([*self._services, reflection.SERVICE_NAME])
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]  # has no types
            reflected, registrar
        )
        # The last one, because it answers for every path that nobody else serves.
        handlers.add_generic_rpc_handlers([_ContractHandler(self)])
        self._server.add_generic_rpc_handlers([handlers])
        self.port = 0

    async def start(self) -> None:
        """Binds and serves; `port` is then the real one.

        Raises:
            OSError: The address is taken or is none of this machine's.
        """
        address = self._settings.grpc_address
        credentials = _credentials(self._settings)
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise OSError(f"GRPC_ADDRESS: cannot listen on {address}: is it taken?") from None
        await self._server.start()

    async def show_ready(self, ready: bool) -> None:
        """Tells readiness by grpc.health.v1, for the whole and for every service."""
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if ready else states.NOT_SERVING
        for service in ("", *self._services):
            await self._health.set(service, status)

    async def stop(self, grace: float) -> None:
        """Refuses new calls, lets those under way finish for `grace` seconds."""
        self._stopping = True
        await self._server.stop(grace)

    def handler(self, path: str) -> Handler:
        """What serves the method of a path."""
        rpc = self._methods.get(path)
        if rpc is None:
            return _unknown(path)
        if rpc.streams:
            return grpc.unary_stream_rpc_method_handler(self._streaming(rpc))
        return grpc.unary_unary_rpc_method_handler(self._unary(rpc))

    def _unary(self, rpc: Rpc) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def handle(request: bytes, context: Context) -> bytes:
            call = self._call_context(context)
            try:
                answer = await self._dispatcher.call(rpc, call, lambda: parsed(rpc, request))
            finally:
                context.set_trailing_metadata(tuple(call.trailers.items()))
            return answer.SerializeToString()

        return handle

    def _streaming(self, rpc: Rpc) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
        async def handle(request: bytes, context: Context) -> AsyncIterator[bytes]:
            call = self._call_context(context)
            async for answer in self._dispatcher.stream(rpc, call, lambda: parsed(rpc, request)):
                yield answer.SerializeToString()

        return handle

    def _call_context(self, context: Context) -> CallContext:
        if self._stopping:
            raise Fault(Reason.REASON_SHUTTING_DOWN, "The gateway is shutting down.")
        left = context.time_remaining()
        call = CallContext(text_metadata(context), peer_address(context.peer()))
        if left is not None:
            # The answer needs a moment on its way back, or the caller sees its own time-out.
            call.deadline = time.monotonic() + left - min(0.2, left / 10)
        return call


def methods(contract: Contract) -> dict[str, Rpc]:
    """Every RPC by its path, OperationService also as google.longrunning.Operations."""
    known = dict(contract.by_path)
    for method in longrunning.DESCRIPTOR.services_by_name["Operations"].methods:
        rpc = contract.by_path.get(f"/{_OPERATIONS}/{method.name}")
        if rpc is not None:
            known[f"/{_LONGRUNNING}/{method.name}"] = rpc
    return known


def parsed(rpc: Rpc, request: bytes) -> Message:
    """The request's message. Raises: Fault: MESSAGE_TOO_LARGE, INVALID_ARGUMENT."""
    if len(request) > MESSAGE_LIMIT:
        raise too_large()
    try:
        return rpc.request.FromString(request)
    except DecodeError:
        name = rpc.request.DESCRIPTOR.full_name
        raise Fault(
            Reason.REASON_INVALID_ARGUMENT, f"The request is no message of type {name}."
        ) from None


def too_large() -> Fault:
    """The fault of a request over the limit."""
    return Fault(
        Reason.REASON_MESSAGE_TOO_LARGE,
        f"The request is larger than {MESSAGE_LIMIT // 1024 // 1024} MiB.",
    )


@functools.lru_cache(maxsize=1024)
def peer_address(peer: str) -> str:
    """The address in gRPC's notation of a peer, without the port."""
    match = _PEER.match(unquote(peer))
    return (match["v6"] or match["v4"]) if match else peer


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """TLS without client certificates: users bring keys; GRPC_TLS_CA is for the workers."""
    if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
        return None
    pair = (settings.grpc_tls_key.read_bytes(), settings.grpc_tls_cert.read_bytes())
    return grpc.ssl_server_credentials([pair])


def _unknown(path: str) -> Handler:
    async def handle(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        raise Fault(Reason.REASON_UNKNOWN_METHOD, "There is no such method.")
        yield b""

    return grpc.stream_stream_rpc_method_handler(handle)


class _ContractHandler(grpc.GenericRpcHandler):
    def __init__(self, surface: GrpcSurface) -> None:
        self._surface = surface

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        return self._surface.handler(handler_call_details.method)


class _NothingLeaks(grpc.GenericRpcHandler):
    """Handlers whose calls end with a fault with details, whatever went wrong in them.

    Without it gRPC sends the text of any exception to the caller. Takes handlers as
    a server does; guards a method once, where an interceptor would at every call.

    Args:
        known: Paths of the methods that are called often. What strangers make up is not kept.
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
                guarded = _guard(path, handler)
                if path in self._known:
                    self._guarded[path] = guarded
                return guarded
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
        with (
            telemetry.span(path[1:], SpanKind.SERVER, telemetry.incoming(text_metadata(context))),
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
