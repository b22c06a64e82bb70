"""The house as it is deployed: its four services over three stores, on a fresh Temporal server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import grpc.aio
from google.rpc import code_pb2

from nexpo.client import NexpoError
from nexpo.users.v1.users_client import OnboardUserOperation, UserServiceClient
from nexpo.users.v1.users_pb2 import OnboardUserRequest
from nexpo_dev.environment import environment
from nexpo_dev.servers import Server
from nexpo_dev.service import Service
from nexpo_dev.stack import SERVICES, Stack

from .deployed import Deployed
from .mail import Mails
from .rig import NO_LIMITS, Rig, work_folder

STORES = ("postgres", "mongodb", "supabase")
"""The three that run a real server on this machine, not a stand-in of ours."""

PASSWORD = "correct horse battery staple"
READING_SECONDS = 0.3
"""How long a person takes from the mail to the click, and to click again."""

_TRIES = 100
_OTHERS = ("object_storage", "claude")


@dataclass
class Repeated:
    """Calls that a client had to repeat, as any client of the house does.

    Attributes:
        starts: Temporal or a store was too busy to take the request in its time.
        early_clicks: The operation did not know yet that the mail was sent.
        late_clicks: No worker answered within the call's time.
    """

    starts: int = 0
    early_clicks: int = 0
    late_clicks: int = 0


@contextlib.asynccontextmanager
async def stores() -> AsyncIterator[Stack]:
    """The databases, the object storage and the model's stand-in; kept for all batches."""
    async with work_folder() as folder:
        stack = Stack(folder, only=[*STORES, *_OTHERS])
        async with stack:
            yield stack
        stack.remove()


def store_pids(stack: Stack) -> dict[str, int]:
    """Process ids of the stores and what belongs to them, by name."""
    found: dict[str, int] = {}

    def add(name: str, server: Server) -> None:
        for number, part in enumerate(server.parts):
            add(f"{name} {part.name} {number}", part)
        with contextlib.suppress(RuntimeError):  # one that is made of parts alone
            found[name] = server.pid

    for name, server in stack.all().items():
        add(name, server)
    return found


def house_settings(
    stack: Stack, rig: Rig, services: Mapping[str, Service], mail: Mails
) -> dict[str, dict[str, str]]:
    """The whole environment of each service, by its name."""
    servers = dataclasses.replace(stack.servers, temporal=rig.temporal)
    return {
        name: {
            **environment(
                name,
                [*STORES, *_OTHERS, "temporal"],
                servers,
                services,
                rig.secrets,
                lambda service, server, url: url,
            ),
            "SMTP_URL": mail.url,
            **NO_LIMITS,
        }
        for name in SERVICES
    }


@contextlib.asynccontextmanager
async def house(
    stack: Stack, rig: Rig, mail: Mails
) -> AsyncIterator[tuple[UserServiceClient, dict[str, int]]]:
    """Runs the four services; yields a client of the gateway, and process ids by name."""
    services = {name: Deployed(name, rig.folder / name) for name in SERVICES}
    for name, settings in house_settings(stack, rig, services, mail).items():
        services[name].settings = settings
    async with (
        rig.running(*services.values()) as pids,
        grpc.aio.insecure_channel(services["gateway"].grpc_address) as channel,
    ):
        client = UserServiceClient(channel, [("authorization", f"Bearer {rig.api_key}")])
        yield client, {**pids, **store_pids(stack)}


def new_person() -> str:
    """An address that nobody has."""
    return f"{uuid.uuid4().hex}@example.com"


def onboarding(email: str) -> OnboardUserRequest:
    """The request that both arms send."""
    request = OnboardUserRequest(
        email=email, display_name="Ada Lovelace", password=PASSWORD, request_id=uuid.uuid4().hex
    )
    request.profile.locale = "en"
    request.profile.plan = "pro"
    return request


async def onboard(client: UserServiceClient, mail: Mails, repeated: Repeated) -> None:
    """Onboards somebody through the gateway, from the request to the result."""
    email = new_person()
    arrived = mail.expect(email)
    operation = await _start(client, onboarding(email), repeated)
    token = await arrived
    mail.forget(email)
    await _click(operation, token, repeated)
    await operation.result(120)


async def _start(
    client: UserServiceClient, request: OnboardUserRequest, repeated: Repeated
) -> OnboardUserOperation:
    """Its request_id makes the same request again harmless."""
    for _ in range(_TRIES):
        try:
            return await client.onboard_user(request, timeout=60)
        except NexpoError as error:
            if error.code != code_pb2.UNAVAILABLE:
                raise
            repeated.starts += 1
            await asyncio.sleep(READING_SECONDS)
    raise TimeoutError(f"no operation was begun in {_TRIES} tries")


async def _click(operation: OnboardUserOperation, token: str, repeated: Repeated) -> None:
    request_id = uuid.uuid4().hex
    for _ in range(_TRIES):
        await asyncio.sleep(READING_SECONDS)
        try:
            await operation.verify_email(token=token, request_id=request_id, timeout=60)
            return
        except NexpoError as error:
            # The mail is there before the operation has heard of it, or the machine is too busy.
            early = error.reason == "VERIFICATION_NOT_READY"
            if not early and error.code != code_pb2.UNAVAILABLE:
                raise
            repeated.early_clicks += early
            repeated.late_clicks += not early
    raise TimeoutError(f"no click was taken in {_TRIES} tries")
