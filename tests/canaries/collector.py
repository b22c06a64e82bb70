"""An OTLP collector that keeps every request as it came."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc
import grpc.aio

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Collector(grpc.GenericRpcHandler):
    """What was exported.

    Attributes:
        received: Each request's bytes.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Takes traces; for anything else there is no such method."""
        if handler_call_details.method != _EXPORT:
            return None
        return grpc.unary_unary_rpc_method_handler(self._export)

    async def _export(self, request: bytes, context: object) -> bytes:
        self.received.append(request)
        return b""


@contextlib.asynccontextmanager
async def collecting(port: int) -> AsyncIterator[Collector]:
    """A collector on this port of 127.0.0.1."""
    collector = Collector()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((collector,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(1)
