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
from nexpo.users.v1.users_client import UserServiceClient
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

_CLICKS = 100
_OTHERS = ("object_storage", "claude")


@dataclass
class Clicks:
    """Clicks on the link of a mail that had to be repeated.

    Attributes:
        early: The operation did not know yet that the mail was sent.
        late: No worker answered within the call's time.
    """

    early: int = 0
    late: int = 0


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


async def onboard(client: UserServiceClient, mail: Mails, clicks: Clicks) -> None:
    """Onboards somebody through the gateway, from the request to the result."""
    email = new_person()
    arrived = mail.expect(email)
    operation = await client.onboard_user(onboarding(email), timeout=60)
    token, request_id = await arrived, uuid.uuid4().hex
    mail.forget(email)
    for _ in range(_CLICKS):
        await asyncio.sleep(READING_SECONDS)
        try:
            await operation.verify_email(token=token, request_id=request_id, timeout=60)
            break
        except NexpoError as error:
            # The mail is there before the operation has heard of it, or the machine is too busy.
            early = error.reason == "VERIFICATION_NOT_READY"
            if not early and error.code != code_pb2.UNAVAILABLE:
                raise
            clicks.early += early
            clicks.late += not early
    await operation.result(120)
