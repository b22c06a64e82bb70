"""No secret is anywhere in clear text: not in Temporal, logs, traces, metrics or error answers.

Onboardings that succeed, fail and are cancelled carry texts that occur nowhere
else. Afterwards everything that the stack has written is searched for them, at
LOG_LEVEL=DEBUG. ALLOWED says where each may be; that it is there is checked, too,
so that a search which finds nothing anywhere cannot pass.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from nexpo.client import NexpoError
from nexpo.users.v1.users_client import OnboardUserOperation
from nexpo.users.v1.users_pb2 import OnboardUserRequest, VerifyEmailRequest
from nexpo_dev import ports
from tests.chaos.field import SETTINGS, Field, open_field
from tests.chaos.onboarding import PATIENCE, Onboarding
from tests.chaos.places import CREATES, Person

from .collector import Collector, collecting
from .search import files_with, found_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

_STORES = ("postgres", "mongodb", "cosmosdb", "sqlserver", "supabase")
ALLOWED: dict[str, tuple[str, ...]] = {
    "password": (),
    "token": ("mailbox",),  # in the link of the mail, and nowhere else
    "profile": _STORES,
    "email": (*_STORES, "mailbox"),
    "name": (*_STORES, "mailbox"),  # Claude's stand-in gets it, and keeps nothing
}
"""Folders of the stack in which each canary may be; all other folders are searched for it."""

_SERVICES = ("gateway", "db-worker", "cloud-worker", "ai-worker")


@dataclass
class Canaries:
    """What was played, and what came of it.

    Attributes:
        folder: Of the stack.
        texts: The canaries, by kind; one of each for every onboarding.
        errors: Every error answer, as it came.
        metrics: /metrics of every service and of Temporal.
        traces: What was exported.
    """

    folder: Path
    texts: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in ALLOWED})
    errors: list[bytes] = field(default_factory=list)
    metrics: dict[str, bytes] = field(default_factory=dict)
    traces: Collector = field(default_factory=Collector)

    def new(self, kind: str) -> str:
        """One more canary."""
        text = f"canary{kind}{secrets.token_hex(8)}"
        self.texts[kind].append(text)
        return text

    def request(self, request_id: str) -> OnboardUserRequest:
        """An onboarding full of canaries."""
        request = OnboardUserRequest(
            email=f"{self.new('email')}@example.com",
            display_name=self.new("name"),
            password=self.new("password"),
            request_id=request_id,
        )
        request.profile.locale = "en"
        request.profile.attributes.update({"note": self.new("profile")})
        return request


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played() -> AsyncIterator[Canaries]:
    folder = Path(tempfile.mkdtemp(prefix="nexpo-canaries-", dir="/tmp"))
    port = ports.choose()
    settings = {
        **SETTINGS,
        "LOG_LEVEL": "DEBUG",
        "TEMPORAL_LOG_LEVEL": "DEBUG",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
    }
    canaries = Canaries(folder)
    try:
        async with collecting(port) as canaries.traces, open_field(folder, settings) as stage:
            await _succeeds(canaries, stage)
            await _is_refused_by_a_store(canaries, stage)
            await _comes_second(canaries, stage)
            await _is_cancelled(canaries, stage)
            await _asks_wrongly(canaries, stage)
            await _read_metrics(canaries, stage)
            # What is still in memory gets written: spans, logs, write-ahead files.
            await asyncio.gather(*(stage.stack.services[name].stop() for name in _SERVICES))
            await stage.stack.servers.temporal.stop()
            yield canaries
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _begun(stage: Field, request: OnboardUserRequest) -> Onboarding:
    person = Person(request.request_id, request.email)
    onboarding = Onboarding(stage.client, stage.mails, person)
    onboarding.handle = await stage.client.onboard_user(request)
    return onboarding


async def _succeeds(canaries: Canaries, stage: Field) -> None:
    onboarding = await _begun(stage, canaries.request("succeeds"))
    token = await stage.mails.token(onboarding.person.email)
    canaries.texts["token"].append(token)
    await onboarding.waiting()
    operation = onboarding.operation
    wrong = canaries.new("password")  # a token that is none is as secret as the right one
    await _error(canaries, operation.verify_email(token=wrong))
    async with httpx.AsyncClient(base_url=stage.stack.gateway.url, trust_env=False) as http:
        # As a person does: the link of the mail has the token in its query.
        page = await http.get("/verify", params={"operation": operation.name, "token": token})
        assert page.is_success
    await operation.verify_email(token=token)
    await operation.result(PATIENCE)
    await _error(canaries, operation.verify_email(token=wrong))


async def _is_refused_by_a_store(canaries: Canaries, stage: Field) -> None:
    for place in CREATES:
        request = canaries.request(f"refused-by-{place.server}")
        await stage.refusals.add(place, Person(request.request_id, request.email))
        operation = await stage.client.onboard_user(request)
        await _error(canaries, operation.result(PATIENCE))
        await _shown(canaries, operation)
    await stage.refusals.clear()


async def _comes_second(canaries: Canaries, stage: Field) -> None:
    first, second = canaries.request("first"), canaries.request("second")
    second.email = first.email
    await (await _begun(stage, first)).waiting()
    operation = await stage.client.onboard_user(second)
    await _error(canaries, operation.result(PATIENCE))
    await _shown(canaries, operation)


async def _is_cancelled(canaries: Canaries, stage: Field) -> None:
    onboarding = await _begun(stage, canaries.request("cancelled"))
    canaries.texts["token"].append(await stage.mails.token(onboarding.person.email))
    await onboarding.waiting()
    await onboarding.cancel()
    await _error(canaries, onboarding.operation.result(PATIENCE))
    await _shown(canaries, onboarding.operation)


async def _asks_wrongly(canaries: Canaries, stage: Field) -> None:
    request = canaries.request("succeeds")  # another content under a used request_id
    await _error(canaries, stage.client.onboard_user(request))
    request = canaries.request("wrong")
    request.email = canaries.new("email")  # not an address
    request.password = canaries.new("password") * 9  # too long
    await _error(canaries, stage.client.onboard_user(request))
    async with httpx.AsyncClient(
        base_url=stage.stack.gateway.url,
        headers={"authorization": f"Bearer {stage.stack.api_key}"},
        trust_env=False,
    ) as http:
        bodies: list[object] = [
            {"email": canaries.new("email"), "password": canaries.new("password")},
            {"email": {"x": canaries.new("email")}, "password": [canaries.new("password")]},
            # An unknown field is told by its name, so the name is no canary.
            {"password": canaries.new("password"), "pasword": canaries.new("password")},
            {"profile": {"locale": canaries.new("profile")}, "displayName": 7},
        ]
        for body in bodies:
            canaries.errors.append((await http.post("/v1/users:onboard", json=body)).content)
        broken = f'{{"password": "{canaries.new("password")}", '
        canaries.errors.append((await http.post("/v1/users:onboard", content=broken)).content)
        token = canaries.new("password")
        url = "/v1/operations/none:verifyEmail"
        canaries.errors.append((await http.post(url, json={"token": token})).content)
    request_of_none = VerifyEmailRequest(operation="operations/none", token=token)
    await _error(canaries, stage.client.verify_email(request_of_none))


async def _error(canaries: Canaries, call: object) -> None:
    with pytest.raises(NexpoError) as caught:
        await call  # type: ignore[misc]  # any awaitable
    canaries.errors.append(caught.value.status.SerializeToString())


async def _shown(canaries: Canaries, operation: OnboardUserOperation) -> None:
    """The operation that failed, with its progress, is an error answer, too."""
    canaries.errors.append((await operation.operation()).SerializeToString())


async def _read_metrics(canaries: Canaries, stage: Field) -> None:
    urls = {name: f"{service.url}/metrics" for name, service in stage.stack.services.items()}
    urls["temporal"] = stage.stack.servers.temporal.metrics_url
    async with httpx.AsyncClient(trust_env=False) as http:
        for name, url in urls.items():
            canaries.metrics[name] = (await http.get(url)).content


@pytest.mark.parametrize("kind", ALLOWED)
async def test_no_file_of_the_stack_holds_it_but_where_it_belongs(
    played: Canaries, kind: str
) -> None:
    found: dict[str, set[str]] = {}
    for file in files_with(played.folder, played.texts[kind]):
        found.setdefault(file.parts[0], set()).add(str(file))
    elsewhere = {place: files for place, files in found.items() if place not in ALLOWED[kind]}
    assert not elsewhere
    assert set(found) == set(ALLOWED[kind]), "it is missing where it belongs: the search is blind"


async def test_temporals_database_was_searched_with_its_write_ahead_file(played: Canaries) -> None:
    database = {
        file.name for file in files_with(played.folder / "temporal", ["refused-by-mongodb"])
    }
    assert database & {"temporal.sqlite", "temporal.sqlite-wal"}


@pytest.mark.parametrize("service", _SERVICES)
async def test_the_log_was_written_at_debug(played: Canaries, service: str) -> None:
    log = (played.folder / service / f"{service}.log").read_text()
    assert '"level":"debug"' in log.replace(" ", "")


@pytest.mark.parametrize("kind", ALLOWED)
async def test_no_trace_has_it(played: Canaries, kind: str) -> None:
    exported = b"".join(played.traces.received)
    assert b"nexpo" in exported
    assert not [text for text in played.texts[kind] if found_in(exported, text)]


@pytest.mark.parametrize("kind", ALLOWED)
async def test_no_metric_has_it(played: Canaries, kind: str) -> None:
    assert set(played.metrics) == {*_SERVICES, "temporal"}
    assert all(b"nexpo" in metrics or b"temporal" in metrics for metrics in played.metrics.values())
    for service, metrics in played.metrics.items():
        assert not [text for text in played.texts[kind] if found_in(metrics, text)], service


@pytest.mark.parametrize("kind", ALLOWED)
async def test_no_error_answer_has_it(played: Canaries, kind: str) -> None:
    assert len(played.errors) >= 15
    leaks = [
        error for error in played.errors for text in played.texts[kind] if found_in(error, text)
    ]
    assert not leaks
