"""The gateway's way to the workers' own gRPC: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2
from opentelemetry.trace import SpanKind

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.registry import PROTOCOL

from ..errors import Fault
from ..failures import STATUS_TRAILER, fault_from, worker_unavailable
from ..names import escaped
from ..settings import Settings
from ..telemetry import tracing
from ..tenant import Signer

_OPTIONS: list[tuple[str, int | str]] = [
    # A name with several addresses is spread over all of them.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    # A replica that comes back is found at once; one that swallows packets is given up.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.dns_min_time_between_resolutions_ms", 2000),
]

_HEALTH = "/grpc.health.v1.Health/Check"


@dataclass(slots=True)
class _Replicas:
    """The channels to one worker's replicas, and whose turn it is."""

    channels: list[grpc.aio.Channel]
    turns: itertools.count[int] = field(default_factory=itertools.count)

    def in_turn(self) -> list[grpc.aio.Channel]:
        first = next(self.turns) % len(self.channels)
        return self.channels[first:] + self.channels[:first]


class WorkerClients:
    """Calls workers' methods on whichever replica answers. Use it as `async with`.

    Args:
        settings: Service token, keys, and TLS files for mutual TLS.
        addresses: `host:port` of each replica, by the worker's name
            ("nexpo-db"); a host name may stand for several.
    """

    def __init__(self, settings: Settings, addresses: Mapping[str, Sequence[str]]) -> None:
        self._signer = Signer(settings.service_keys)
        self._authorization = f"Bearer {settings.service_tokens[0]}"
        credentials = _channel_credentials(settings)
        self._workers = {
            worker: _Replicas([_channel(replica, credentials) for replica in replicas])
            for worker, replicas in addresses.items()
            if replicas
        }

    async def __aenter__(self) -> WorkerClients:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; calls under way end with SHUTTING_DOWN."""
        for replicas in self._workers.values():
            for channel in replicas.channels:
                await channel.close(None)

    async def call(
        self,
        worker: str,
        path: str,
        request: bytes,
        *,
        tenant: str,
        timeout: float,
        operation: str = "",
        attempt: int = 1,
    ) -> bytes:
        """Makes one call. A replica that cannot be reached is passed over.

        Args:
            worker: Its name, such as "nexpo-db".
            path: `/package.Service/Method`; see serving.method_path.
            request: The serialised request.
            tenant: Whose call it is.
            timeout: Seconds until DEADLINE_EXCEEDED.
            operation: Workflow id, for activities.
            attempt: Number of the attempt, for activities.

        Raises:
            Fault: As the worker failed; WORKER_UNAVAILABLE when none answers;
                SHUTTING_DOWN when `close` cut it off.
        """
        metadata = [
            ("authorization", self._authorization),
            *self._signer.metadata(path, tenant),
            *(_of_operation(operation, attempt) if operation else ()),
        ]
        replicas = self._workers.get(worker)
        if replicas is None:
            raise worker_unavailable(worker)
        ends = time.monotonic() + timeout
        with tracing.span(path[1:], SpanKind.CLIENT, worker=worker):
            metadata += tracing.outgoing()
            for channel in replicas.in_turn():
                left = max(ends - time.monotonic(), 0)
                try:
                    return await _unary(channel, path, request, metadata, left)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    # Nobody gave the call up: its connection was closed under it.
                    raise Fault(
                        Reason.REASON_SHUTTING_DOWN, "The service is shutting down."
                    ) from None
                except grpc.aio.AioRpcError as error:
                    if not _unreachable(error, channel):
                        raise fault_from(error) from None
        raise worker_unavailable(worker)

    async def check(self, worker: str, timeout: float = 2.0) -> None:
        """Asks the worker's grpc.health.v1 on whichever replica answers.

        Raises:
            Fault: WORKER_UNAVAILABLE: none says SERVING.
        """
        replicas = self._workers.get(worker)
        for channel in replicas.in_turn() if replicas else ():
            try:
                answer = await _unary(channel, _HEALTH, b"", [], timeout)
            except grpc.aio.AioRpcError:
                continue
            status = health_pb2.HealthCheckResponse.FromString(answer).status
            if status == health_pb2.HealthCheckResponse.SERVING:
                return
        raise worker_unavailable(worker)


def _of_operation(operation: str, attempt: int) -> list[tuple[str, str]]:
    return [
        (PROTOCOL.operation_metadata, escaped(operation)),
        (PROTOCOL.attempt_metadata, str(attempt)),
    ]


async def _unary(
    channel: grpc.aio.Channel,
    path: str,
    request: bytes,
    metadata: list[tuple[str, str]],
    timeout: float,
) -> bytes:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    return await method(request, timeout=timeout, metadata=grpc.aio.Metadata(*metadata))


def _unreachable(error: grpc.aio.AioRpcError, channel: grpc.aio.Channel) -> bool:
    """Whether the call failed on the way, not in the worker."""
    if any(key == STATUS_TRAILER for key, _ in error.trailing_metadata() or ()):
        return False
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        return True
    connected = channel.get_state() == grpc.ChannelConnectivity.READY
    return error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and not connected


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=_OPTIONS)
    return grpc.aio.secure_channel(address, credentials, options=_OPTIONS)


def _channel_credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    if settings.grpc_tls_ca is None:
        return None
    pair = settings.grpc_tls_key, settings.grpc_tls_cert
    key, certificate = (path.read_bytes() if path else None for path in pair)
    return grpc.ssl_channel_credentials(settings.grpc_tls_ca.read_bytes(), key, certificate)
