"""Who may call what: every method without its permission, removed keys, tenants, TLS, limits."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api import http_pb2

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_dev.certificates import Authority
from nexpo_gateway.contract import Rpc
from nexpo_gateway.identity.api_keys import ApiKeys
from nexpo_gateway.operations.backend import Criteria
from nexpo_gateway.operations.listing import visibility_query
from nexpo_gateway.surfaces.grpc import methods
from nexpo_runtime.errors import Fault

from .clients import Gateway, Refused, progress_of, refused, refused_by
from .conftest import running
from .in_process import gateway_in_process, in_process
from .parcels.contract import with_parcels

CONTRACT = with_parcels()
CLOSED = {path: rpc for path, rpc in methods(CONTRACT).items() if not rpc.public}
PERMISSIONS = sorted({rpc.permission for rpc in CLOSED.values()})


def write_keys(path: Path, keys: dict[str, tuple[str, list[str]]]) -> None:
    """A key file with these keys: tenant and permissions by the key itself."""
    entries = [
        {
            "name": key,
            "tenant": tenant,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "permissions": permissions,
        }
        for key, (tenant, permissions) in keys.items()
    ]
    path.write_text(json.dumps({"keys": entries}))


@pytest.fixture
def one_key_each(tmp_path: Path) -> Path:
    """For each permission a key that lacks only it, and one that has only it."""
    path = tmp_path / "one-each.json"
    lacking = {
        f"lacks-{name}": ("acme", [other for other in PERMISSIONS if other != name])
        for name in PERMISSIONS
    }
    write_keys(path, lacking | {f"has-{name}": ("acme", [name]) for name in PERMISSIONS})
    return path


async def on_grpc(gateway: Gateway, path: str, key: str) -> Refused | None:
    """How a call with an empty request is refused."""
    method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = gateway.channel.unary_stream(path)
    call = method(b"", metadata=grpc.aio.Metadata(*gateway.metadata(key, {})), timeout=60)
    try:
        _ = [answer async for answer in call]
    except grpc.aio.AioRpcError as error:
        return refused(error)
    return None


async def on_rest(gateway: Gateway, rule: http_pb2.HttpRule, key: str) -> Refused | None:
    """How a call of the route is refused."""
    verb = rule.WhichOneof("pattern") or ""
    target = re.sub(r"\{[\w.]+=operations/\*\}", "operations/acme~a~b~c", getattr(rule, verb))
    target = re.sub(r"\{[\w.]+=(\w+)/\*\}", r"\1/x", target)
    target = re.sub(r"\{[\w.]+=(\w+)(/?)(?:\*\*)?\}", r"\1\2\2", target).replace("//", "/x")
    target = re.sub(r"\{[\w.]+\}", "x", target)
    body: dict[str, Any] | None = None if verb in ("get", "delete") else {}
    answer = await gateway.http(verb.upper(), target, body, key=key)
    return None if answer.status == 200 else refused_by(answer)


async def refusals(gateway: Gateway, path: str, rpc: Rpc, key: str) -> list[Refused | None]:
    """How the method is refused on gRPC and on each of its routes."""
    found = [await on_grpc(gateway, path, key)]
    return found + [await on_rest(gateway, rule, key) for rule in rpc.bindings]


async def test_no_method_is_served_without_exactly_its_permission(one_key_each: Path) -> None:
    assert {rpc.kind for rpc in CLOSED.values()} == {
        "start", "update", "signal", "query", "read", "native",
    }  # fmt: skip
    async with gateway_in_process(one_key_each) as gateway:
        for path, rpc in CLOSED.items():
            for found in await refusals(gateway, path, rpc, f"lacks-{rpc.permission}"):
                assert found is not None, path
                assert found.reason == "PERMISSION_DENIED", path
                assert f"'{rpc.permission}'" in found.message
            for found in await refusals(gateway, path, rpc, f"has-{rpc.permission}"):
                assert found is None or found.reason != "PERMISSION_DENIED", path
            for found in await refusals(gateway, path, rpc, ""):
                assert found is not None, path
                assert found.reason == "UNAUTHENTICATED", path


async def test_a_key_that_is_removed_from_the_file_stops_working(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexpo_gateway.identity.api_keys._RELOAD_SECONDS", 0)
    path = tmp_path / "keys.json"
    write_keys(path, {"stays": ("acme", ["*"]), "leaves": ("acme", ["*"])})
    keys = ApiKeys(path)
    leaves, stays = ({"authorization": f"Bearer {key}"} for key in ("leaves", "stays"))
    assert (await keys.authenticate(leaves)) is not None
    write_keys(path, {"stays": ("acme", ["operations.get"])})
    with pytest.raises(Fault, match="UNAUTHENTICATED"):
        await keys.authenticate(leaves)
    caller = await keys.authenticate(stays)
    assert caller is not None
    assert not caller.may("users.get"), "permissions that were taken away are gone, too"


async def test_with_a_certificate_grpc_is_served_over_tls_and_never_in_the_clear(
    keys_file: Path, tmp_path: Path
) -> None:
    authority = Authority()
    certificate, key = authority.issue(tmp_path, "localhost")
    settings = in_process(keys_file, grpc_tls_cert=certificate, grpc_tls_key=key)
    trusted = grpc.ssl_channel_credentials(authority.write(tmp_path).read_bytes())
    path = "/nexpo.operations.v1.OperationService/ListOperations"

    async def call(channel: grpc.aio.Channel) -> None:
        await channel.unary_unary(path, bytes, bytes)(b"", timeout=60)

    async with running(settings) as (gateway, started):
        with pytest.raises(grpc.aio.AioRpcError) as plain:
            await call(gateway.channel)
        assert plain.value.code() == grpc.StatusCode.UNAVAILABLE
        async with grpc.aio.secure_channel(f"localhost:{started.grpc_port}", trusted) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as encrypted:
                await call(channel)
        assert encrypted.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_tenants_list_and_tasks_hold_only_its_own(keys_file: Path) -> None:
    async with gateway_in_process(keys_file, task_after=0.05) as gateway:
        names = {key: await blocked(gateway, key) for key in ("acme-key", "other-key")}
        for key, name in names.items():
            tasks = (await gateway.rest("GET", "/v1/operationTasks", key=key))["tasks"]
            assert [task["operation"] for task in tasks] == [name]
            listed = (await gateway.rest("GET", "/v1/operations", key=key))["operations"]
            assert [operation["name"] for operation in listed] == [name]
        done = f"/v1/{names['acme-key']}/tasks/pack:markDone"
        with pytest.raises(Refused) as foreign:
            await gateway.rest("POST", done, {"note": "x"}, key="other-key")
        assert foreign.value.reason == "OPERATION_NOT_FOUND"
        for key, name in names.items():
            await gateway.rest("POST", f"/v1/{name}/tasks/pack:markDone", {"note": "x"}, key=key)


async def blocked(gateway: Gateway, key: str) -> str:
    """Name of an operation of the key's tenant whose undo is blocked."""
    name = (await gateway.send(plan="blocked", key=key)).name
    async for frame in gateway.watch(name, key=key):
        if progress_of(frame).state == Progress.UNDO_BLOCKED:
            break
    return name


async def test_a_page_token_of_one_tenant_opens_nothing_for_another(keys_file: Path) -> None:
    async with gateway_in_process(keys_file) as gateway:
        for key in ("acme-key", "acme-key", "other-key"):
            await gateway.send(plan="finish", key=key)
        page = await gateway.rest("GET", "/v1/operations?page_size=1")
        token = page["nextPageToken"]
        for target in (
            f"/v1/operations?page_token={token}",
            f"/v1/operationTasks?page_token={token}",
        ):
            with pytest.raises(Refused) as foreign:
                await gateway.rest("GET", target, key="other-key")
            assert foreign.value.reason == "INVALID_PAGE_TOKEN"
        with pytest.raises(Refused) as mixed:
            await gateway.rest("GET", f"/v1/operationTasks?page_token={token}")
        assert mixed.value.reason == "INVALID_PAGE_TOKEN", "nor for another list"


@pytest.mark.parametrize(
    "criteria",
    [
        Criteria("acme"),
        Criteria("acme", states=[Progress.UNDO_BLOCKED]),
        Criteria("acme", types=["a.B"], created=[(">", datetime(2026, 1, 1, tzinfo=UTC))]),
    ],
)
def test_every_search_on_temporal_names_the_tenant(criteria: Criteria) -> None:
    terms = visibility_query(criteria).split(" AND ")
    assert "NexpoTenant = 'acme'" in terms
    assert not any(" OR " in term for term in terms)


def test_a_search_for_failures_finds_them_however_temporal_ended_them() -> None:
    query = visibility_query(Criteria("acme", states=[Progress.FAILED]))
    for status in ("Failed", "Terminated", "TimedOut"):
        assert f"'{status}'" in query


@contextlib.asynccontextmanager
async def limited(tmp_path: Path, **limits: float) -> AsyncIterator[Gateway]:
    """A gateway with limits, and two keys of one tenant."""
    path = tmp_path / "two-keys.json"
    write_keys(path, {"one": ("acme", ["*"]), "two": ("acme", ["*"])})
    async with gateway_in_process(path, **limits) as gateway:
        yield gateway


async def test_a_flood_by_one_key_leaves_its_tenants_other_keys_alone(tmp_path: Path) -> None:
    async with limited(tmp_path, rate_limit=0.01, rate_burst=2) as gateway:
        for key in ("one", "two"):
            statuses = [
                (await gateway.http("GET", "/v1/operations", key=key)).status for _ in range(3)
            ]
            assert statuses == [200, 200, 429], key


async def test_a_keys_calls_count_together_on_every_surface(tmp_path: Path) -> None:
    async with limited(tmp_path, rate_limit=0.01, rate_burst=2) as gateway:
        for _ in range(2):
            await gateway.rest("GET", "/v1/operations", key="one")
        found = await on_grpc(
            gateway, "/nexpo.operations.v1.OperationService/ListOperations", "one"
        )
        assert found is not None
        assert found.reason == "RATE_LIMITED"
