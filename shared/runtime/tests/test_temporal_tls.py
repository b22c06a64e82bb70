"""The ways to reach Temporal: TLS, mutual TLS, API key; and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from pydantic import SecretStr
from temporalio.api.workflowservice.v1 import DescribeNamespaceResponse, GetSystemInfoResponse

from nexpo_dev.certificates import Authority
from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_runtime.settings import Environment, Settings
from nexpo_runtime.temporal.connection import TemporalLink

from .conftest import eventually


def settings_for(port: int, **tls: object) -> Settings:
    return Settings.load(
        environment=Environment.TEST,
        temporal_address=f"127.0.0.1:{port}",
        temporal_tls_server_name="localhost",
        **tls,
    )


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def terminator(
    temporal: TemporalAddress, pair: tuple[Path, Path], clients: Path | None
) -> AsyncIterator[int]:
    """TLS in front of the real server; with `clients`, their certificates are demanded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    context.set_alpn_protocols(["h2"])
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    host, _, port = temporal.url.rpartition(":")
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(host, int(port))
        for pipe in (_pipe(reader, behind[1]), _pipe(behind[0], writer)):
            tasks.add(asyncio.create_task(pipe))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_tls_reaches_temporal_and_a_server_that_nobody_vouches_for_does_not(
    temporal: TemporalAddress, tmp_path: Path
) -> None:
    good, bad = Authority(), Authority()
    async with terminator(temporal, good.issue(tmp_path, "localhost"), None) as port:
        async with TemporalLink(settings_for(port, temporal_tls_ca=good.write(tmp_path))) as link:
            await eventually(lambda: link.up)
        (tmp_path / "bad").mkdir()
        wrong = settings_for(port, temporal_tls_ca=bad.write(tmp_path / "bad"))
        async with TemporalLink(wrong) as link:
            with pytest.raises(TimeoutError):
                await eventually(lambda: link.up, within=1.5)


async def test_mutual_tls_needs_the_clients_certificate(
    temporal: TemporalAddress, tmp_path: Path
) -> None:
    authority = Authority()
    ca = authority.write(tmp_path)
    mine = authority.issue(tmp_path, "client")
    async with terminator(temporal, authority.issue(tmp_path, "localhost"), ca) as port:
        with_pair = settings_for(
            port, temporal_tls_ca=ca, temporal_tls_cert=mine[0], temporal_tls_key=mine[1]
        )
        async with TemporalLink(with_pair) as link:
            await eventually(lambda: link.up)
        async with TemporalLink(settings_for(port, temporal_tls_ca=ca)) as link:
            with pytest.raises(TimeoutError):
                await eventually(lambda: link.up, within=1.5)


async def test_the_api_key_and_the_cloud_namespace_travel_over_tls(tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue(tmp_path, "localhost")
    seen: dict[str, str] = {}

    class Frontend(grpc.GenericRpcHandler):
        """Stands for Temporal Cloud's front end: only a grpc server can see the key."""

        def service(
            self, details: grpc.HandlerCallDetails
        ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            seen.update({k: str(v) for k, v in details.invocation_metadata or ()})
            known = {
                "GetSystemInfo": GetSystemInfoResponse(),
                "DescribeNamespace": DescribeNamespaceResponse(),
            }
            answer = known.get(details.method.rpartition("/")[2])

            async def answered(request: bytes, context: object) -> bytes:
                assert answer is not None
                return answer.SerializeToString()

            return grpc.unary_unary_rpc_method_handler(answered) if answer is not None else None

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Frontend(),))
    pair = [(key.read_bytes(), certificate.read_bytes())]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair))
    await server.start()
    settings = settings_for(
        port,
        temporal_tls_ca=authority.write(tmp_path),
        temporal_cloud_namespace="acme.a1b2c",
        temporal_cloud_api_key=SecretStr("the-key"),
    )
    try:
        async with TemporalLink(settings) as link:
            await eventually(lambda: link.up)
    finally:
        await server.stop(0)
    assert seen["authorization"] == "Bearer the-key"
    assert seen["temporal-namespace"] == "acme.a1b2c"


def test_temporal_cloud_has_an_address_of_its_own() -> None:
    settings = Settings.load(
        temporal_cloud_namespace="acme.a1b2c", temporal_cloud_api_key=SecretStr("k")
    )
    assert settings.temporal_target == "acme.a1b2c.tmprl.cloud:7233"
