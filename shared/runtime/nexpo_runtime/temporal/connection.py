"""The link to Temporal: made when Temporal is there, noticed when it goes, mended by itself."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Self

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, TLSConfig
from temporalio.service import GrpcCompression, KeepAliveConfig, RPCError

from ..failures import temporal_unavailable
from ..settings import Settings
from ..telemetry import logs, tracing
from ..telemetry.metrics import TEMPORAL_LOST, TEMPORAL_UP
from ..tenant import Signer
from .converter import data_converter
from .tenant_interceptors import TenantInterceptor

_log = logs.get(__name__)

_PROBE_EVERY = 1.0
_PROBE_TIMEOUT = timedelta(seconds=2)
_CONNECT_TIMEOUT = timedelta(seconds=3)
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0


async def connect(settings: Settings) -> Client:
    """Connects once: plain, TLS, mutual TLS or API key, as the settings say.

    The client encrypts, traces, and signs the tenant of its calls (see
    tenant.acting_for); its workers' workflows verify the tenant.

    Raises:
        RuntimeError: Temporal cannot be reached or refuses.
        OSError: A TLS file cannot be read.
    """
    key = settings.temporal_cloud_api_key
    tracing.configure(settings)
    return await Client.connect(
        settings.temporal_target,
        namespace=settings.namespace,
        api_key=key.get_secret_value() if key else None,
        tls=_tls(settings),
        data_converter=data_converter(settings),
        plugins=[tracing.temporal_plugin()],
        interceptors=[TenantInterceptor(Signer(settings.service_keys))],
        identity=f"{settings.service}@{socket.gethostname()}:{os.getpid()}",
        runtime=tracing.temporal_runtime(settings),
        connect_timeout=_CONNECT_TIMEOUT,
        keep_alive_config=KeepAliveConfig(interval_millis=10_000, timeout_millis=5_000),
        grpc_compression=GrpcCompression.NONE,  # costs 17 % of throughput on one machine
    )


class TemporalLink:
    """Keeps a client, and knows whether Temporal answers. Use it as `async with`.

    Entering does not wait for Temporal: a service starts without it, says that
    it is not ready, and becomes ready when Temporal comes.

    Args:
        settings: Where Temporal is.
        connector: Makes the client; `connect` unless a test says otherwise.
    """

    def __init__(
        self, settings: Settings, connector: Callable[[Settings], Awaitable[Client]] = connect
    ) -> None:
        self._settings = settings
        self._connector = connector
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._down.set()
        self._known = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def up(self) -> bool:
        """Whether Temporal answered last time."""
        return self._up.is_set()

    def require(self) -> Client:
        """The client, at once.

        Raises:
            Fault: TEMPORAL_UNAVAILABLE, with when to try again.
        """
        if self._client is None or not self.up:
            raise temporal_unavailable()
        return self._client

    async def client(self) -> Client:
        """The client, as soon as Temporal answers."""
        while True:
            await self._up.wait()
            if self._client is not None and self.up:
                return self._client

    async def lost(self) -> None:
        """Returns as soon as Temporal does not answer."""
        await self._down.wait()

    async def check(self) -> None:
        """For health. Raises: Fault: TEMPORAL_UNAVAILABLE."""
        self.require()

    def suspect(self) -> None:
        """A call failed: have a look now, not at the next round."""
        self._wake.set()

    def renew(self) -> None:
        """Makes a new connection for whoever asks next; calls under way keep the old one."""
        self._client = None
        self._set(up=False)
        self.suspect()

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._probe()
            except Exception as error:  # also a TLS file that is none: it may be mended
                self._note(up=False, error=error)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._note(up=True)
                pause = _FIRST_PAUSE
            await self._pause(_PROBE_EVERY if self.up else pause)

    async def _probe(self) -> None:
        if self._client is None:
            async with asyncio.timeout(2 * _CONNECT_TIMEOUT.total_seconds()):
                self._client = await self._connector(self._settings)
        # More than a health check: the namespace must be there, too.
        await self._client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=self._settings.namespace), timeout=_PROBE_TIMEOUT
        )

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        await asyncio.sleep(0.05)  # however many suspect at once, they cost few probes

    def _set(self, up: bool) -> None:
        one, other = (self._up, self._down) if up else (self._down, self._up)
        other.clear()
        one.set()

    def _note(self, up: bool, error: BaseException | None = None) -> None:
        TEMPORAL_UP.set(up)
        if self._known and up == self.up:
            return
        self._known = True
        where = {
            "address": self._settings.temporal_target,
            "namespace": self._settings.namespace,
        }
        self._set(up)
        if up:
            _log.info("temporal answers", **where)
        else:
            TEMPORAL_LOST.inc()
            _log.warning(
                "temporal cannot be reached; trying again until it answers",
                why=why(error),
                **where,
            )


def why(error: BaseException | None) -> str:
    """First line of the text of an error of the SDK: addresses and states, no data."""
    if isinstance(error, RPCError):
        return f"{error.status.name}: {error.message}"[:200]
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error).splitlines()[0][:200] if error and str(error) else type(error).__name__


def _tls(settings: Settings) -> TLSConfig | bool | None:
    files = settings.temporal_tls_ca, settings.temporal_tls_cert, settings.temporal_tls_key
    if not any(files) and not settings.temporal_tls_server_name:
        # None: the SDK's own default, which is TLS when there is an API key.
        return settings.temporal_tls or (None if settings.temporal_cloud_api_key else False)
    authority, certificate, key = (path.read_bytes() if path else None for path in files)
    return TLSConfig(
        server_root_ca_cert=authority,
        client_cert=certificate,
        client_private_key=key,
        domain=settings.temporal_tls_server_name or None,
    )
