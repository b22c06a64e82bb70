"""Onboardings begun by an older commit's services are finished by today's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import grpc.aio
import httpx
import pytest
import pytest_asyncio

from nexpo.client import NexpoError
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo.users.v1.users_client import OnboardUserOperation, UserServiceClient
from nexpo.users.v1.users_pb2 import (
    GetUserRequest,
    OnboardUserRequest,
    OnboardUserResponse,
    User,
    UserView,
)
from nexpo_dev.demo.witnesses import Witnesses
from nexpo_dev.running import running
from nexpo_dev.stack import SERVICES, Stack

from . import base

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(400),
    pytest.mark.verify,
]

T = TypeVar("T")
PATIENCE = 120.0
WAITING, PROVISIONING, CANCELLED, VERIFIED = 30, 8, 6, 6
"""How many are stopped where: 50 in all."""


@dataclass
class Onboarding:
    """One person's."""

    email: str
    operation: OnboardUserOperation

    async def until(self, wanted: Progress.State.ValueType) -> None:
        """Waits for a state."""
        async for progress in self.operation.watch(PATIENCE):
            if progress.state == wanted:
                return
        raise AssertionError(f"{self.email} ended before it was {Progress.State.Name(wanted)}")

    async def provisioning(self) -> None:
        """Waits until all is created and the home is not."""
        async for progress in self.operation.watch(PATIENCE):
            states = {step.name: step.state for step in progress.steps}
            created = [s for name, s in states.items() if name.startswith("create in")]
            if created and set(created) == {Step.DONE} and states["provision home"] == Step.RUNNING:
                return
        raise AssertionError(f"{self.email} did not wait for its home")


class Town:
    """The stack, whose services are of the older commit first."""

    def __init__(self, stack: Stack, channel: grpc.aio.Channel) -> None:
        self.stack = stack
        self.client = UserServiceClient(channel, [("authorization", f"Bearer {stack.api_key}")])
        self.witnesses = Witnesses(stack.servers, "dev")
        self._number = 0
        self._tokens: dict[str, str] = {}
        self._reading = asyncio.Lock()  # fifty people share one look into the mailbox

    async def begin(self, count: int) -> list[Onboarding]:
        """So many people."""
        return [await self._one() for _ in range(count)]

    async def token(self, email: str) -> str:
        """The token of a person's mail, once it has arrived."""
        async with asyncio.timeout(PATIENCE), self._reading:
            while email not in self._tokens:
                await self._read_mails()
                await asyncio.sleep(0.1)
        return self._tokens[email]

    async def verify(self, one: Onboarding) -> None:
        """Does what the mail asks for."""
        await one.operation.verify_email(token=await self.token(one.email))

    async def replace_everything(self) -> None:
        """Ends what still runs of the older commit and starts today's."""
        services = self.stack.services.values()
        await asyncio.gather(*(service.stop() for service in services))
        for service in services:
            service.settings = {k: v for k, v in service.settings.items() if k != "PYTHONPATH"}
        await asyncio.gather(*(service.start() for service in services))
        async with asyncio.timeout(PATIENCE):
            while await self.stack.gateway.status() != "ok":  # noqa: ASYNC110  # over HTTP
                await asyncio.sleep(0.1)

    async def _read_mails(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=90) as http:
            mails = (await http.get(f"{self.stack.servers.mailbox.url}/mails")).json()
        for mail in mails:
            if found := re.search(r"[?&]token=([^&\s]+)", mail["text"]):
                self._tokens[mail["to"][0]] = unquote(found[1])

    async def _one(self) -> Onboarding:
        self._number += 1
        email = f"p{self._number:02}@example.com"
        request = OnboardUserRequest(email=email, display_name="P", password="correct horse")
        request.profile.plan = "pro"
        return Onboarding(email, await self.client.onboard_user(request))


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PYTHONPATH of the older commit's code."""
    try:
        return base.unpack(tmp_path_factory.mktemp("base"))
    except base.NoHistoryError as error:
        pytest.skip(f"needs the commit {base.commit()}: {error}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(older: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Everything runs; the services are of the older commit."""
    stack = Stack(tmp_path_factory.mktemp("town"), settings={"PYTHONPATH": older})
    async with running(stack) as channel:
        yield Town(stack, channel)


async def test_fifty_onboardings_of_an_older_commit_are_finished_by_todays_code(
    town: Town, older: str
) -> None:
    old_code = older.partition("/shared/")[0]
    assert all(loaded_from(town, name, old_code) for name in SERVICES)
    people = await town.begin(WAITING + CANCELLED + VERIFIED)
    await together(one.until(Progress.WAITING) for one in people)
    waiting, cancelled = people[:WAITING], people[WAITING : WAITING + CANCELLED]
    verified = people[WAITING + CANCELLED :]
    await town.stack.services["cloud-worker"].kill()
    homeless = await town.begin(PROVISIONING)
    await together(one.provisioning() for one in homeless)
    await town.stack.services["db-worker"].kill()
    await together(town.verify(one) for one in verified)
    await together(one.operation.cancel() for one in cancelled)
    await together(one.until(Progress.UNDOING) for one in cancelled)

    await town.replace_everything()

    assert not any(loaded_from(town, name, old_code) for name in SERVICES)
    await together(town.verify(one) for one in waiting)
    await together(one.until(Progress.WAITING) for one in homeless)
    await together(town.verify(one) for one in homeless)
    finished = [*waiting, *homeless, *verified]
    for result in await together(one.operation.result(PATIENCE) for one in finished):
        await assert_active(town, result)
    for one in cancelled:
        with pytest.raises(NexpoError) as ended:
            await one.operation.result(PATIENCE)
        assert ended.value.reason == "OPERATION_CANCELLED"
        found = await town.witnesses.of(one.email, await town.witnesses.homes())
        assert len(found) >= 5
        assert not any(testimony.ids for testimony in found), one.email
    assert len(await town.witnesses.homes()) == len(finished)


async def together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """All at once; the answers in their order."""
    return await asyncio.gather(*calls)


async def assert_active(town: Town, result: OnboardUserResponse) -> None:
    """One active record in each store, alike."""
    request = GetUserRequest(user_id=result.user.user_id, view=UserView.USER_VIEW_COPIES)
    copies = (await town.client.get_user(request)).copies
    assert {copy.database: copy.id for copy in copies} == {
        e.database: e.id for e in result.record_ids
    }
    assert len(copies) == 5
    assert all(copy.user == result.user for copy in copies)
    assert result.user.state == User.ACTIVE


def loaded_from(town: Town, service: str, folder: str) -> bool:
    """Whether a running service has the folder on its path."""
    pid = town.stack.services[service].pid
    return folder.encode() in Path(f"/proc/{pid}/environ").read_bytes()
