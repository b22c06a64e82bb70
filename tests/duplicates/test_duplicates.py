"""A request_id is one workflow, however often, wherever and in whatever order it is sent."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import grpc.aio
import httpx
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from temporalio.client import Client

from nexpo.client import NexpoError, progress_of
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_client import OnboardUserOperation, UserServiceClient
from nexpo.users.v1.users_pb2 import OnboardUserRequest
from nexpo_dev.stack import Stack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

WAYS = 20
"""Calls for each person: by gRPC and REST, in names and spellings that differ."""
AT_ONCE = 40
RACES = 10
SEED = 20250117

_PATIENCE = 90.0
# What a machine that does too much at once may answer.
_RETRYABLE = ("TEMPORAL_UNAVAILABLE", "DEADLINE_EXCEEDED")


class Busy(Exception):
    """An answer that says to try again."""


@dataclass
class House:
    """The running stack, and the ways in."""

    stack: Stack
    client: UserServiceClient
    http: httpx.AsyncClient

    async def by_grpc(self, request: OnboardUserRequest) -> str:
        """Name of the operation."""
        return (await self.client.onboard_user(request, timeout=60)).name

    async def by_rest(self, request: OnboardUserRequest, *, proto_names: bool) -> str:
        """Name of the operation."""
        body = MessageToDict(request, preserving_proto_field_name=proto_names)
        answer = await self.http.post("/v1/users:onboard", json=body)
        if answer.json().get("reason") in _RETRYABLE:
            raise Busy(answer.text)
        assert answer.is_success, answer.text
        return str(answer.json()["name"])

    async def workflows(self, request_ids: set[str]) -> Counter[str]:
        """How many runs Temporal has of the workflow of each request_id."""
        server = self.stack.servers.temporal
        client = await Client.connect(server.url, namespace=server.namespace)
        async with asyncio.timeout(_PATIENCE):
            while True:  # visibility lags
                found = Counter(
                    [
                        run.id.rpartition("/")[2]
                        async for run in client.list_workflows(
                            "WorkflowType = 'nexpo.users.v1.OnboardUser'"
                        )
                    ]
                )
                if request_ids <= set(found):
                    return found
                await asyncio.sleep(0.2)

    async def records(self) -> Counter[str]:
        """How many live records PostgreSQL has of each address."""
        connection = await asyncpg.connect(self.stack.servers.postgres.url)
        try:
            rows = await connection.fetch("SELECT email FROM nexpo_users WHERE email IS NOT NULL")
        finally:
            await connection.close()
        return Counter(row["email"] for row in rows)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(embedded_stack: Stack) -> AsyncIterator[House]:
    gateway, key = embedded_stack.gateway, f"Bearer {embedded_stack.api_key}"
    async with (
        grpc.aio.insecure_channel(gateway.grpc_address) as channel,
        httpx.AsyncClient(
            base_url=gateway.url, headers={"authorization": key}, timeout=60, trust_env=False
        ) as http,
    ):
        client = UserServiceClient(channel, [("authorization", key)])
        yield House(embedded_stack, client, http)


def _request(request_id: str, email: str = "") -> OnboardUserRequest:
    request = OnboardUserRequest(
        email=email or f"{request_id}@example.com",
        display_name=request_id.title(),
        password="correct horse battery staple",
        request_id=request_id,
        databases=["databases/postgres", "databases/mongodb"],
    )
    request.profile.locale = "de-CH"
    request.profile.attributes.update({"team": "blue", "floor": 3})
    request.verify_within.FromSeconds(3600)
    return request


async def _repeated(call: Callable[[], Awaitable[str]]) -> str:
    """Makes the call as any client does: what is retryable is repeated; that is safe here."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            try:
                return await call()
            except Busy:
                await asyncio.sleep(0.5)
            except NexpoError as error:
                if error.reason not in _RETRYABLE:
                    raise
                await asyncio.sleep(0.5)


@pytest.mark.parametrize(
    "count", [5, pytest.param(50, marks=pytest.mark.verify)], ids=["a hundred", "a thousand"]
)
async def test_duplicates_over_grpc_and_rest_are_one_workflow_for_each_request_id(
    house: House, count: int
) -> None:
    people = [f"duplicated-{number}-of-{count}" for number in range(count)]
    calls = [(person, way) for person in people for way in range(WAYS)]
    random.Random(SEED).shuffle(calls)
    slots = asyncio.Semaphore(AT_ONCE)

    async def call(person: str, way: int) -> tuple[str, str]:
        request = _request(person)
        if way % 4 == 3:  # the same address, written in another way
            request.email = request.email.upper()
        async with slots:
            if way % 2:
                return person, await _repeated(
                    lambda: house.by_rest(request, proto_names=way % 4 == 1)
                )
            return person, await _repeated(lambda: house.by_grpc(request))

    names: defaultdict[str, set[str]] = defaultdict(set)
    for person, name in await asyncio.gather(*(call(*each) for each in calls)):
        names[person].add(name)

    assert {len(same) for same in names.values()} == {1}
    assert len(set.union(*names.values())) == count
    runs = await house.workflows(set(people))
    assert {person: runs[person] for person in people} == dict.fromkeys(people, 1)
    await asyncio.gather(*(_settled(house, name) for (name,) in names.values()))
    records = await house.records()
    assert {records[f"{person}@example.com"] for person in people} == {1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "other@example.com"),
        ("display_name", "Other"),
        ("password", "another horse battery staple"),
        ("profile.locale", "fr"),
        ("profile.attributes", {"team": "red", "floor": 3}),
        ("databases", ["databases/postgres"]),
        ("verify_within", 7200),
    ],
)
async def test_other_content_under_the_same_request_id_is_refused_with_the_field_named(
    house: House, field: str, value: object
) -> None:
    request_id = f"used-{field.replace('.', '-').replace('_', '-')}"
    name = await house.by_grpc(_request(request_id))
    other = _request(request_id)
    match field:
        case "profile.attributes":
            assert isinstance(value, dict)
            other.profile.attributes.update(value)
        case "databases":
            other.databases.remove("databases/mongodb")
        case "verify_within":
            other.verify_within.FromSeconds(7200)
        case "profile.locale":
            other.profile.locale = str(value)
        case _:
            setattr(other, field, value)

    with pytest.raises(NexpoError) as refused:
        await house.by_grpc(other)
    answer = await house.http.post("/v1/users:onboard", json=MessageToDict(other))

    assert refused.value.reason == "REQUEST_ID_REUSED"
    [named] = refused.value.fields
    assert named == field or named.startswith(field)
    assert answer.status_code == httpx.codes.CONFLICT
    assert answer.json()["reason"] == "REQUEST_ID_REUSED"
    assert await house.by_grpc(_request(request_id)) == name, "the first content still counts"


@pytest.mark.parametrize("race", range(RACES))
async def test_of_onboardings_that_want_one_address_at_once_exactly_one_wins(
    house: House, race: int
) -> None:
    address = f"wanted-{race}@example.com"
    requests = [_request(f"racer-{race}-{number}", address) for number in range(2 + race % 3)]

    names = await asyncio.gather(*map(house.by_grpc, requests))
    endings = await asyncio.gather(*(_settled(house, name) for name in names))

    assert sorted(endings)[:-1] == ["EMAIL_TAKEN"] * (len(requests) - 1)
    assert sorted(endings)[-1] == "WAITING"
    assert (await house.records())[address] == 1


async def _settled(house: House, name: str) -> str:
    """ "WAITING" for the verification, or the reason why it failed."""
    operation: OnboardUserOperation = house.client.onboard_user_operation(name)
    async with asyncio.timeout(_PATIENCE):
        while True:
            found = await operation.operation()
            state = progress_of(found).state
            if state == Progress.WAITING:
                return "WAITING"
            if found.done:
                with pytest.raises(NexpoError) as failed:
                    await operation.result(10)
                return failed.value.reason
            await asyncio.sleep(0.2)
