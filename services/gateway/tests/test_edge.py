"""The edge: credentials, permissions, rate limits, reflection, health, the verify page."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.longrunning import operations_pb2 as longrunning
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_gateway.calls.rate_limits import RateLimit
from nexpo_gateway.content.spelling import normal_email
from nexpo_gateway.context import CallContext, Caller
from nexpo_gateway.identity.api_keys import ApiKeys, make_development_key
from nexpo_gateway.settings import GatewaySettings
from nexpo_runtime.errors import Fault
from nexpo_runtime.settings import SettingsError

from .clients import LONGRUNNING, Gateway, Refused
from .conftest import gateway_settings, running


@pytest.mark.parametrize(
    ("held", "asked", "allowed"),
    [
        ("users.get", "users.get", True),
        ("users.*", "users.get", True),
        ("users.*", "users.admin.get", True),
        ("*", "users.get", True),
        ("users.get", "users.getAll", False),
        ("users.*", "usersX.get", False),
        ("users", "users.get", False),
        ("", "users.get", False),
    ],
)
def test_a_permission_covers_itself_and_what_its_wildcard_says(
    held: str, asked: str, allowed: bool
) -> None:
    assert Caller("t", "n", frozenset([held])).may(asked) is allowed


def test_a_key_file_that_changes_is_read_again_and_a_broken_one_is_not(
    keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexpo_gateway.identity.api_keys._RELOAD_SECONDS", 0)
    keys = ApiKeys(keys_file)
    new = {
        "name": "new",
        "tenant": "acme",
        "sha256": hashlib.sha256(b"new-key").hexdigest(),
        "permissions": [],
    }
    header = {"authorization": "Bearer new-key"}
    with pytest.raises(Fault):
        asyncio.run(keys.authenticate(header))
    keys_file.write_text(json.dumps({"keys": [new]}))
    assert asyncio.run(keys.authenticate(header)) == Caller("acme", "new", frozenset())
    keys_file.write_text("{")
    assert asyncio.run(keys.authenticate({"x-api-key": "new-key"})) is not None


def test_a_malformed_key_file_is_refused_with_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{"name": "x", "tenant": "A/B", "sha256": "no"}]}))
    with pytest.raises(ValueError, match=r"(?s)tenant.*sha256.*permissions"):
        ApiKeys(path)


async def test_the_development_key_works_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    key = make_development_key(path)
    caller = await ApiKeys(path).authenticate({"authorization": f"Bearer {key}"})
    assert caller is not None
    assert caller.may("anything.at.all")
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        make_development_key(path)


@pytest.mark.parametrize(
    "settings", [{"environment": "test"}, {"grpc_address": "0.0.0.0:0"}], ids=str
)
def test_no_key_is_made_outside_development_or_off_loopback(settings: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="API_KEYS_FILE"):
        GatewaySettings.load(**settings)


def test_a_rate_limit_refills_and_forgets_who_was_away_for_longest() -> None:
    now = [0.0]
    limit = RateLimit(rate=2, burst=3, capacity=2, clock=lambda: now[0])
    for _ in range(3):
        limit.take("a")
    with pytest.raises(Fault) as fault:
        limit.take("a")
    assert fault.value.retry_after is not None
    assert fault.value.retry_after.total_seconds() == 0.5
    now[0] = 0.5
    limit.take("a")
    for key in "bbb":
        limit.take(key)
    for key in "acaca":  # whoever is refused was not away
        with contextlib.suppress(Fault):
            limit.take(key)
        assert len(limit._buckets) == 2
    with pytest.raises(Fault):
        limit.take("a")
    limit.take("b")


async def test_too_many_calls_are_refused_with_when_to_try_again(
    temporal: TemporalAddress, keys_file: Path
) -> None:
    settings = gateway_settings(
        temporal.url, keys_file, rate_limit=0.1, rate_burst=2, public_rate_limit=0.1,
        public_rate_burst=1,
    )  # fmt: skip
    async with running(settings, workflows=[]) as (gateway, _):
        for key, target, body, allowed in (
            ("acme-key", "/v1/operations", None, 2),
            ("", "/v1/operations/acme~a~b~c:signParcel", {}, 1),
        ):
            verb = "GET" if body is None else "POST"
            answers = [await gateway.http(verb, target, body, key=key) for _ in range(allowed + 1)]
            assert 429 not in [answer.status for answer in answers[:allowed]]
            assert answers[-1].json["reason"] == "RATE_LIMITED"
            assert 0 < int(answers[-1].headers["retry-after"]) <= 10
        # One credential's flood is not another's.
        assert (await gateway.http("GET", "/v1/operations", key="other-key")).status != 429


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("ada@MÜNCHEN.example", "ada@xn--mnchen-3ya.example"),
        ("zoe\u0308@b.example", "zo\u00eb@b.example"),
        ("no-address", "no-address"),
        ("a@", "a@"),
        ("a@-.example", "a@-.example"),
    ],
)
def test_an_address_has_one_spelling(given: str, normal: str) -> None:
    assert normal_email(given) == normal


@pytest.mark.parametrize(
    ("prefer", "wait"),
    [
        ("wait=10", 10),
        ("respond-async, wait=5", 5),
        ('wait="7"; x=y', 7),
        ("WAIT = 3", 3),
        ("wait=-1", None),
        ("await=5", None),
        ("wait=soon", None),
        ("wait=301", 300),
        ("wait=999999", 300),
        ("wait=999999999", 300),
        ("", None),
    ],
)
def test_the_prefer_header_says_how_long_to_wait(prefer: str, wait: float | None) -> None:
    assert CallContext({"prefer": prefer}, "peer").wait == wait


async def test_every_method_that_reflection_shows_works(gateway: Gateway) -> None:
    files = await _reflected_files(gateway.channel)
    services = {s.name: s for f in files for s in f.service}
    assert "Operations" in services
    assert "UserService" in services
    called = 0
    for file in files:
        for service in file.service:
            if file.package.startswith("grpc."):
                continue
            for method in service.method:
                path = f"/{file.package}.{service.name}/{method.name}"
                call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
                call = gateway.channel.unary_stream(path)
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    # Without a credential: it is known, and that is all that is asked here.
                    _ = [answer async for answer in call(b"")]
                assert error.value.code() in (
                    grpc.StatusCode.UNAUTHENTICATED,
                    grpc.StatusCode.INVALID_ARGUMENT,
                ), path
                called += 1
    assert called >= 15


async def _reflected_files(channel: grpc.aio.Channel) -> list[FileDescriptorProto]:
    stubs: Any = reflection_pb2_grpc  # their types are incomplete
    messages: Any = reflection_pb2
    stub = stubs.ServerReflectionStub(channel)
    request = messages.ServerReflectionRequest
    requests = [request(list_services="")]
    [listed] = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
    names = [service.name for service in listed.list_services_response.service]
    requests = [request(file_containing_symbol=name) for name in names]
    found: dict[str, FileDescriptorProto] = {}
    async for answer in stub.ServerReflectionInfo(iter(requests)):
        own = answer.file_descriptor_response.file_descriptor_proto[0]
        file = FileDescriptorProto.FromString(own)
        found[file.name] = file
    shown = {f"{f.package}.{s.name}" for f in found.values() for s in f.service}
    assert set(names) <= shown
    return [
        FileDescriptorProto(
            package=f.package, service=[s for s in f.service if f"{f.package}.{s.name}" in names]
        )
        for f in found.values()
    ]


async def test_operations_are_served_as_google_longrunning_too(gateway: Gateway) -> None:
    name = (await gateway.send(plan="finish", _prefer="wait=30")).name
    request = longrunning.GetOperationRequest(name=name)
    same = await gateway.call(LONGRUNNING + "GetOperation", request, longrunning.Operation)
    assert same == await gateway.get(name)
    with pytest.raises(Refused) as refused:
        await gateway.call(LONGRUNNING + "GetOperation", request, longrunning.Operation, key="")
    assert refused.value.reason == "UNAUTHENTICATED"


async def test_grpc_health_follows_readiness(gateway: Gateway) -> None:
    stubs: Any = health_pb2_grpc  # their types are incomplete
    stub = stubs.HealthStub(gateway.channel)
    for service in ("", "nexpo.users.v1.UserService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.Check(health_pb2.HealthCheckRequest(service="none"))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


async def test_the_verify_page_asks_before_it_confirms_and_runs_no_script(
    gateway: Gateway,
) -> None:
    name = "operations/acme~nexpo.users.v1.OnboardUser~a~b"
    token = 't"><script>alert(1)</script>'
    page = await gateway.http(
        "GET", f"/verify?operation={quote(name)}&token={quote(token)}", key=""
    )
    text = page.body.decode()
    assert page.status == 200
    assert "<script" not in text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', text))
    assert fields["operation"] == name
    form = f"operation={quote(name)}&token=wrong"
    refused = await gateway.http("POST", "/verify", form.encode(), key="")
    assert refused.status == 404
    assert "This link does not work any more" in refused.body.decode()
    assert (await gateway.http("GET", "/verify", key="")).status == 400
    assert (await gateway.http("POST", "/verify", b"\xff=\xff&x", key="")).status == 400


async def test_the_process_starts_alone_shows_its_key_once_and_ends_in_order(
    tmp_path: Path,
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "GRPC_ADDRESS": "127.0.0.1:0",
        "HTTP_ADDRESS": "127.0.0.1:0",
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
    }

    def run() -> tuple[int, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "nexpo_gateway"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if '"serving"' in line or "event='serving'" in line or "serving" in line.split():
                break
        process.terminate()
        rest, _ = process.communicate(timeout=90)
        return process.returncode, "".join(lines) + rest

    code, output = await asyncio.to_thread(run)
    assert code == 0
    assert re.search(r"nexpo-dev-[\w-]{32}", output)
    assert "nexpo-gateway" in output
    assert "OnboardUser" in output
    code, output = await asyncio.to_thread(run)
    assert code == 0
    assert "nexpo-dev-" not in output
