"""The gRPC surface: generic handlers from the contract, reflection, health.

Sources: google.rpc.Status in `grpc-status-details-bin` as in gRPC's richer error
model; grpc.health.v1; grpc.reflection.v1alpha.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast
from urllib.parse import unquote

import grpc
from google.longrunning import operations_pb2 as longrunning
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.settings import Settings
from nexpo_runtime.worker.serving import SERVER_OPTIONS, text_metadata

from ..calls.dispatcher import Dispatcher
from ..content.elements import MOST_ELEMENTS, has_more_elements, too_many_elements
from ..content.sizes import MESSAGE_LIMIT, WIRE_LIMIT, over_limit
from ..context import CallContext
from ..contract import Contract, Rpc
from .grpc_interceptor import Context, Handler, NothingLeaks

MOST_STREAMS = 1000
"""Calls of one connection at a time. One that was begun and never made is not ours to count or
to end, because the library hands it over with its message, and costs 20 KB until then."""

METADATA_LIMIT = 96 * 1024
"""Bytes of metadata that are received at most; up to here, the same."""

_LONGRUNNING = "google.longrunning.Operations"
_OPERATIONS = "nexpo.operations.v1.OperationService"
_PEER = re.compile(r"^ipv[46]:(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:]+)):\d+$")

_OTHERS = [
    f"/{service.full_name}/{method.name}"
    for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
]
"""Paths of health and reflection."""


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
            ("grpc.max_send_message_length", 4 * WIRE_LIMIT),
            ("grpc.max_concurrent_streams", MOST_STREAMS),
            ("grpc.max_metadata_size", METADATA_LIMIT),
            ("grpc.absolute_max_metadata_size", METADATA_LIMIT),
        ]
        self._server = grpc.aio.server(options=options)
        self._health = health.aio.HealthServicer()
        self._services = [*dispatcher.contract.services, _LONGRUNNING, health.SERVICE_NAME]
        self._methods = methods(dispatcher.contract)
        handlers = NothingLeaks({*self._methods, *_OTHERS})
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
            return self._unknown()
        if rpc.streams:
            return grpc.unary_stream_rpc_method_handler(self._streaming(rpc))
        return grpc.unary_unary_rpc_method_handler(self._unary(rpc))

    def _unary(self, rpc: Rpc) -> Callable[[bytes, Context], Awaitable[bytes]]:
        async def handle(request: bytes, context: Context) -> bytes:
            call = self.call_context(context)

            async def read() -> Message:
                return parsed(rpc, request)

            try:
                answer = await self._dispatcher.call(rpc, call, read)
            finally:
                context.set_trailing_metadata(tuple(call.trailers.items()))
            return answer.SerializeToString()

        return handle

    def _streaming(self, rpc: Rpc) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
        async def handle(request: bytes, context: Context) -> AsyncIterator[bytes]:
            call = self.call_context(context)

            async def read() -> Message:
                return parsed(rpc, request)

            async for answer in self._dispatcher.stream(rpc, call, read):
                yield answer.SerializeToString()

        return handle

    def _unknown(self) -> Handler:
        async def handle(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            self.call_context(context)
            raise Fault(Reason.REASON_UNKNOWN_METHOD, "There is no such method.")
            yield b""

        return grpc.stream_stream_rpc_method_handler(handle)

    def call_context(self, context: Context) -> CallContext:
        """What comes with a call beside its message. Raises: Fault: it is not let in."""
        call = CallContext(text_metadata(context), peer_address(context.peer()))
        self._dispatcher.arrived(call)
        if self._stopping:
            raise Fault(Reason.REASON_SHUTTING_DOWN, "The gateway is shutting down.")
        left = context.time_remaining()
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
        raise over_limit()
    try:
        message = rpc.request.FromString(request)
    except DecodeError:
        name = rpc.request.DESCRIPTOR.full_name
        raise Fault(
            Reason.REASON_INVALID_ARGUMENT, f"The request is no message of type {name}."
        ) from None
    if has_more_elements(message, MOST_ELEMENTS):
        raise too_many_elements()
    return message


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


class _ContractHandler(grpc.GenericRpcHandler):
    def __init__(self, surface: GrpcSurface) -> None:
        self._surface = surface

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        return self._surface.handler(handler_call_details.method)
