"""The worker's own gRPC: for the gateway alone, with faults and without anybody's secrets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.health.v1.health_pb2 import ProbeRequest, ProbeResponse
from nexpo_runtime.edge.worker_clients import WorkerClients
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.failures import STATUS_TRAILER, fault_from
from nexpo_runtime.settings import Environment, Settings
from nexpo_runtime.tenant import Signer
from nexpo_runtime.worker.serving import WorkerServer, method_path

from .conftest import eventually
from .sample import TENANT, SampleService

READ = method_path("sample.v1.SampleActivities", "sample.v1.Read")
REFUSE = method_path("sample.v1.SampleActivities", "sample.v1.Refuse")
HOLD = method_path("sample.v1.SampleActivities", "sample.v1.Hold")


def plain(**overrides: object) -> Settings:
    return Settings.load(environment=Environment.TEST, enable_temporal=False, **overrides)


@contextlib.asynccontextmanager
async def serving(settings: Settings, service: SampleService) -> AsyncIterator[WorkerServer]:
    server = WorkerServer(settings, [service])
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


def clients(settings: Settings, *ports: int, host: str = "127.0.0.1") -> WorkerClients:
    return WorkerClients(settings, {"sample": [f"{host}:{port}" for port in ports]})


async def call(workers: WorkerClients, path: str, timeout: float = 5) -> ProbeResponse:
    answer = await workers.call(
        "sample", path, b"", tenant=TENANT, timeout=timeout, operation="a/b%2F", attempt=4
    )
    return ProbeResponse.FromString(answer)


async def raw(
    port: int, metadata: dict[str, str], path: str = READ
) -> grpc.aio.AioRpcError | bytes:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        try:
            return await method(b"", timeout=60, metadata=grpc.aio.Metadata(*metadata.items()))
        except grpc.aio.AioRpcError as error:
            return error


def good_metadata(settings: Settings, path: str = READ) -> dict[str, str]:
    return {
        "authorization": f"Bearer {settings.service_token.get_secret_value()}",
        **dict(Signer(settings.service_keys).metadata(path, TENANT)),
    }


async def test_a_call_knows_its_tenant_operation_and_attempt(service: SampleService) -> None:
    settings = plain()
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        answer = await call(workers, READ)
    assert (answer.service, answer.version, answer.attempt) == (TENANT, "a/b%2F", 4)


@pytest.mark.parametrize(
    ("missing", "value"),
    [
        ("authorization", None),
        ("authorization", "Bearer wrong"),
        ("nexpo-tenant", None),
        ("nexpo-tenant", "other"),
        ("nexpo-tenant-signature", None),
        ("nexpo-tenant-signature", "0" * 64),
    ],
)
async def test_without_token_and_signed_tenant_nothing_runs(
    service: SampleService, missing: str, value: str | None
) -> None:
    settings = plain()
    metadata = good_metadata(settings, REFUSE) | ({missing: value} if value else {})
    if value is None:
        del metadata[missing]
    async with serving(settings, service) as server:
        error = await raw(server.port, metadata, REFUSE)
    assert isinstance(error, grpc.aio.AioRpcError)
    assert fault_from(error).name == "UNAUTHENTICATED"
    assert service.refusals == 0


async def test_an_old_token_is_accepted_while_it_is_rotated(service: SampleService) -> None:
    old, both = plain(service_token="old-token"), plain(service_token="new-token, old-token")
    async with serving(both, service) as server:
        for settings in (old, both):
            async with clients(settings, server.port) as workers:
                assert (await call(workers, READ)).service == TENANT


async def test_a_fault_arrives_whole(service: SampleService) -> None:
    settings = plain()
    service.error = Fault(
        Reason.REASON_STORE_THROTTLED,
        "Too busy: später.",
        fields=[FieldViolation("email", "taken")],
        retry_after=timedelta(seconds=3),
        metadata={"store": "POSTGRES"},
    )
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        with pytest.raises(Fault) as caught:
            await call(workers, REFUSE)
        error = await raw(server.port, good_metadata(settings, REFUSE), REFUSE)
    fault = caught.value
    assert fault.to_status() == service.error.to_status()
    assert isinstance(error, grpc.aio.AioRpcError)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "Too busy: später."


async def test_an_unknown_exception_leaks_nothing(service: SampleService) -> None:
    settings = plain()
    service.error = RuntimeError("canary: postgres://user:secret@db")
    async with serving(settings, service) as server:
        error = await raw(server.port, good_metadata(settings, REFUSE), REFUSE)
    assert isinstance(error, grpc.aio.AioRpcError)
    assert error.code() == grpc.StatusCode.INTERNAL
    shown = f"{error.details()} {error.trailing_metadata()} {error.debug_error_string()}"
    assert "canary" not in shown
    [status] = [v for k, v in error.trailing_metadata() or () if k == STATUS_TRAILER]
    assert isinstance(status, bytes)
    assert Fault.from_status(status_pb2.Status.FromString(status)).name == "INTERNAL"


async def test_an_answer_that_is_no_message_is_internal(service: SampleService) -> None:
    settings = plain()

    async def forgetful(request: ProbeRequest) -> None: ...

    service.read = forgetful  # type: ignore[method-assign,assignment]  # the bug to be caught
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        with pytest.raises(Fault, match="INTERNAL"):
            await call(workers, READ)


async def test_a_request_that_is_no_message_is_refused(service: SampleService) -> None:
    settings = plain()
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        with pytest.raises(Fault) as caught:
            await workers.call("sample", READ, b"\xff\xff", tenant=TENANT, timeout=60)
    assert caught.value.name == "INVALID_ARGUMENT"


async def test_a_method_that_the_worker_does_not_know_shows_that_it_is_outdated(
    service: SampleService,
) -> None:
    settings = plain()
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        with pytest.raises(Fault) as caught:
            await call(workers, "/sample.v1.SampleActivities/Unknown")
    assert caught.value.name == "WORKER_OUTDATED"


async def test_the_deadline_ends_the_call_and_the_work(service: SampleService) -> None:
    settings = plain()
    cancelled = asyncio.Event()

    async def hold(request: ProbeRequest) -> ProbeResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    service.hold = hold  # type: ignore[method-assign]  # this one never ends by itself
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        with pytest.raises(Fault) as caught:
            await call(workers, HOLD, timeout=0.3)
        async with asyncio.timeout(90):
            await cancelled.wait()
    assert caught.value.name == "DEADLINE_EXCEEDED"


async def test_draining_lets_a_call_finish_and_takes_no_new_one(service: SampleService) -> None:
    settings = plain()
    async with serving(settings, service) as server, clients(settings, server.port) as workers:
        under_way = asyncio.create_task(call(workers, HOLD))
        await service.held.wait()
        stopping = asyncio.create_task(server.stop(5))
        await eventually(lambda: _refused(workers))
        service.release.set()
        assert (await under_way).service == TENANT
        await stopping


async def _refused(workers: WorkerClients) -> bool:
    try:
        await call(workers, READ)
    except Fault as fault:
        return fault.name == "WORKER_UNAVAILABLE"
    return False


async def test_nobody_listening_is_worker_unavailable_at_once() -> None:
    settings = plain()
    async with clients(settings, 1) as workers:
        async with asyncio.timeout(9):
            with pytest.raises(Fault) as caught:
                await call(workers, READ, timeout=10)
            with pytest.raises(Fault) as unset:
                await workers.call("other", READ, b"", tenant=TENANT, timeout=10)
    assert caught.value.name == unset.value.name == "WORKER_UNAVAILABLE"
    assert "sample" in caught.value.message


async def test_a_replica_that_swallows_packets_is_worker_unavailable_within_the_deadline() -> None:
    settings = plain()
    # A listener that never accepts nor answers: its backlog takes the connection.
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with clients(settings, port) as workers:
        with pytest.raises(Fault) as caught:
            await call(workers, READ, timeout=0.5)
    server.close()
    assert caught.value.name == "WORKER_UNAVAILABLE"


async def test_calls_are_spread_over_replicas_and_a_dead_one_is_passed_over() -> None:
    settings = plain()
    first, second = SampleService(), SampleService()
    for service in (first, second):
        service.error = Fault(Reason.REASON_FENCED)
    async with (
        serving(settings, first) as one,
        serving(settings, second) as two,
        clients(settings, one.port, two.port) as workers,
    ):
        for _ in range(10):
            with pytest.raises(Fault):
                await call(workers, REFUSE)
        assert (first.refusals, second.refusals) == (5, 5)
        await one.stop(0)
        for _ in range(10):
            assert (await call(workers, READ)).service == TENANT


async def test_a_worker_that_comes_back_is_used_again() -> None:
    settings = plain()
    async with serving(settings, SampleService()) as server:
        port = server.port
    again = plain(grpc_address=f"127.0.0.1:{port}")
    async with clients(settings, port) as workers:
        assert await _refused(workers)
        async with serving(again, SampleService()):
            await eventually(lambda: _answered(workers), within=5)


async def _answered(workers: WorkerClients) -> bool:
    return not await _refused(workers)


async def test_health_is_open_and_a_taken_port_is_named(service: SampleService) -> None:
    settings = plain()
    async with serving(settings, service) as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer: health_pb2.HealthCheckResponse = await stub.Check(  # type: ignore[attr-defined]  # the stubs package knows only the servicer
                health_pb2.HealthCheckRequest()
            )
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        second = WorkerServer(plain(grpc_address=f"127.0.0.1:{server.port}"), [service])
        with pytest.raises(OSError, match=f"GRPC_ADDRESS.*{server.port}"):
            await second.start()


async def test_mutual_tls_takes_the_place_of_the_token(
    service: SampleService, tmp_path: Path
) -> None:
    authority, pair, stranger = _certificates(tmp_path)
    tls = {"grpc_tls_cert": pair[0], "grpc_tls_key": pair[1], "grpc_tls_ca": authority}
    settings = plain(**tls, service_token=SecretStr("the-worker-does-not-look"))
    forged = plain(**tls | {"grpc_tls_cert": stranger[0], "grpc_tls_key": stranger[1]})
    async with serving(settings, service) as server:
        async with clients(plain(**tls), server.port, host="localhost") as workers:
            assert (await call(workers, READ)).service == TENANT
        async with clients(forged, server.port, host="localhost") as workers:
            with pytest.raises(Fault) as caught:
                await call(workers, READ)
    assert caught.value.name == "WORKER_UNAVAILABLE"


def _certificates(folder: Path) -> tuple[Path, tuple[Path, Path], tuple[Path, Path]]:
    """An authority, a pair that it signed for localhost, and a pair that nobody signed."""
    from nexpo_dev.certificates import Authority

    good, bad = Authority(), Authority()
    return good.write(folder), good.issue(folder, "localhost"), bad.issue(folder, "stranger")
