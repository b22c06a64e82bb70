"""The worker's own gRPC: its reads and activities, for the gateway alone.

Every call needs the service token or, with mutual TLS, a client certificate;
and a signed tenant. grpc.health.v1 is open.

Source: the status travels in `grpc-status-details-bin` as google.rpc.Status,
as in gRPC's richer error model.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2_grpc
from opentelemetry.trace import SpanKind

from nexpo.contract import Method
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.registry import PROTOCOL

from ..errors import INTERNAL_MESSAGE, Fault, grpc_code
from ..failures import STATUS_TRAILER, fault_from
from ..settings import Settings
from ..telemetry import tracing
from ..tenant import Signer
from .activity import ActivityContext
from .invocation import Implementation, Service, implementation, invoke

_ATTEMPT = re.compile("[1-9][0-9]{0,8}")

DEFAULT_DEADLINE = PROTOCOL.default_deadline.ToTimedelta().total_seconds()
"""Seconds for a call that comes without a deadline."""

SERVER_OPTIONS: list[tuple[str, int]] = [
    ("grpc.so_reuseport", 0),  # a taken port is an error, not a silent second server
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
]

Context = grpc.aio.ServicerContext[bytes, bytes]


def method_path(service: str, method: str) -> str:
    """`/package.Service/Method` for a service's and a method's full names."""
    return f"/{service}/{method.rpartition('.')[2]}"


class WorkerServer:
    """Serves a worker's services.

    Args:
        settings: GRPC_ADDRESS, token, keys, TLS files.
        services: What to serve.
    """

    def __init__(self, settings: Settings, services: Iterable[Service]) -> None:
        self._settings = settings
        self._signer = Signer(settings.service_keys)
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self.health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self._server.add_generic_rpc_handlers([self._handlers(service) for service in services])
        self.port = 0

    async def start(self) -> None:
        """Binds and serves; `port` is then the real one.

        Raises:
            OSError: The address is taken or is none of this machine's.
        """
        address = self._settings.grpc_address
        credentials = server_credentials(self._settings)
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise OSError(f"GRPC_ADDRESS: cannot listen on {address}: is it taken?") from None
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Refuses new calls, lets those under way finish for `grace` seconds."""
        await self._server.stop(grace)

    def _handlers(self, service: Service) -> grpc.GenericRpcHandler:
        contract = service.CONTRACT
        return grpc.method_handlers_generic_handler(
            contract.name,
            {
                method.name.rpartition(".")[2]: self._handler(
                    method_path(contract.name, method.name), method, implementation(service, method)
                )
                for method in contract.methods
            },
        )

    def _handler(
        self, path: str, method: Method, call: Implementation
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def handle(request: bytes, context: Context) -> bytes:
            metadata = text_metadata(context)
            try:
                with tracing.span(path[1:], SpanKind.SERVER, tracing.incoming(metadata)):
                    answer = await self._answer(path, method, call, request, metadata, context)
                return answer.SerializeToString()
            except Exception as error:
                await abort(context, fault_from(error))
                raise AssertionError("unreachable: abort raises") from None

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _answer(
        self,
        path: str,
        method: Method,
        call: Implementation,
        request: bytes,
        metadata: Mapping[str, str],
        context: Context,
    ) -> Message:
        self._authenticate(metadata)
        tenant = self._signer.verified_metadata(metadata, path)
        attempt = metadata.get(PROTOCOL.attempt_metadata, "1")
        if not _ATTEMPT.fullmatch(attempt):
            raise Fault(
                Reason.REASON_INVALID_ARGUMENT, f"{PROTOCOL.attempt_metadata} must be a number."
            )
        operation = unquote(metadata.get(PROTOCOL.operation_metadata, ""))
        about = ActivityContext(tenant, operation, int(attempt))
        try:
            message = method.request.FromString(request)
        except DecodeError:
            raise Fault(
                Reason.REASON_INVALID_ARGUMENT,
                f"The request is no {method.request.DESCRIPTOR.full_name}.",
            ) from None
        left = context.time_remaining()
        async with asyncio.timeout(DEFAULT_DEADLINE if left is None else left):
            return await invoke(call, method.name, message, about)

    def _authenticate(self, metadata: Mapping[str, str]) -> None:
        if self._settings.grpc_tls_ca is not None:
            return  # The handshake has verified the client's certificate.
        given = metadata.get("authorization", "").encode()
        expected = [f"Bearer {token}".encode() for token in self._settings.service_tokens]
        if not any(hmac.compare_digest(given, token) for token in expected):
            raise Fault(Reason.REASON_UNAUTHENTICATED, "The call carries no valid service token.")


def text_metadata(context: Context) -> dict[str, str]:
    """The call's metadata that is text, by name."""
    return {
        key: value if isinstance(value, str) else value.decode(errors="replace")
        for key, value in context.invocation_metadata() or ()
        if not key.endswith("-bin")
    }


async def abort(context: Context, fault: Fault) -> None:
    """Ends the call with the fault's status and details; raises what ends the handler."""
    status = fault.to_status()
    message = INTERNAL_MESSAGE if fault.reason == Reason.REASON_INTERNAL else fault.message
    await context.abort(
        grpc_code(status.code), message, ((STATUS_TRAILER, status.SerializeToString()),)
    )


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """TLS by GRPC_TLS_CERT and _KEY; with GRPC_TLS_CA clients must show a certificate."""
    if settings.grpc_tls_cert is None or settings.grpc_tls_key is None:
        return None
    authority = settings.grpc_tls_ca.read_bytes() if settings.grpc_tls_ca else None
    return grpc.ssl_server_credentials(
        [(settings.grpc_tls_key.read_bytes(), settings.grpc_tls_cert.read_bytes())],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )
