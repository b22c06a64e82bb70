"""The same writes on DBOS, load and all, in one process: it is a library of the application.

    python -m bench.bare.dbos_onboarding DATABASE-URL ONBOARDINGS AT-ONCE

Prints one line of JSON: seconds and latencies.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uvloop
from dbos import DBOS, SetWorkflowID

from nexpo.ai.v1.ai_pb2 import WriteWelcomeRequest
from nexpo.cloud.v1.cloud_pb2 import CreateHomeRequest
from nexpo.notifications.v1.notifications_pb2 import SendVerificationRequest, SendWelcomeRequest
from nexpo.users.v1.user_records_pb2 import (
    CreateUserRequest,
    ReplaceUserRequest,
    ReserveEmailRequest,
)
from nexpo.users.v1.users_pb2 import OnboardUserRequest, User
from nexpo_ai_worker.claude.client import open_claude
from nexpo_ai_worker.settings import AiSettings
from nexpo_cloud_worker.homes.homes import Homes
from nexpo_cloud_worker.object_stores.s3 import open_s3
from nexpo_cloud_worker.settings import CloudSettings
from nexpo_db_worker.databases.opened import open_databases
from nexpo_db_worker.settings import DbSettings
from nexpo_db_worker.users.users import UserDatabases
from nexpo_gateway.calls.protection import Protection
from nexpo_gateway.processes.mail.activities import digest
from nexpo_gateway.settings import GatewaySettings

from ..house import PASSWORD, READING_SECONDS, new_person, onboarding
from ..mail import Mails, mails
from ..rig import TENANT
from .steps import CloudSteps, DataSteps, MailSteps, TextSteps

_PATIENCE = 120.0


@dataclass(frozen=True)
class Steps:
    """Everything that the workflow calls."""

    data: DataSteps
    cloud: CloudSteps
    text: TextSteps
    mail: MailSteps


_steps: list[Steps] = []


@DBOS.step()
async def reserve(email: str, key: str) -> None:
    """Takes the address."""
    await _steps[0].data.reserve_email(ReserveEmailRequest(email=email, key=key))


@DBOS.step()
async def create(request: bytes) -> str:
    """Creates a record; gives the store's id."""
    return (await _steps[0].data.create_user(CreateUserRequest.FromString(request))).id


@DBOS.step()
async def home(user_id: str, key: str) -> str:
    """Provisions a home."""
    request = CreateHomeRequest(user_id=user_id, key=key)
    return (await _steps[0].cloud.create_home(request)).uri


@DBOS.step()
async def write(name: str, locale: str, plan: str, key: str) -> str:
    """Writes the welcome text."""
    request = WriteWelcomeRequest(display_name=name, locale=locale, plan=plan, key=key)
    return (await _steps[0].text.write_welcome(request)).text


@DBOS.step()
async def ask(email: str, name: str, key: str) -> str:
    """Sends the link; gives the token's digest."""
    request = SendVerificationRequest(email=email, display_name=name, key=key, operation=key)
    return (await _steps[0].mail.send_verification(request)).token_digest


@DBOS.step()
async def replace(request: bytes) -> None:
    """Activates a record."""
    await _steps[0].data.replace_user(ReplaceUserRequest.FromString(request))


@DBOS.step()
async def greet(email: str, name: str, text: str, key: str) -> None:
    """Sends the welcome."""
    request = SendWelcomeRequest(email=email, display_name=name, text=text, key=key)
    await _steps[0].mail.send_welcome(request)


@DBOS.step()
async def begin(request: bytes) -> bytes:
    """The new user: what is random or a clock must be a step."""
    wanted = OnboardUserRequest.FromString(request)
    user = User(
        user_id=str(uuid.uuid4()),
        email=wanted.email,
        display_name=wanted.display_name,
        state=User.PENDING,
        etag=str(uuid.uuid4()),
    )
    user.create_time.FromDatetime(datetime.now(UTC))
    user.update_time.CopyFrom(user.create_time)
    return user.SerializeToString()


@DBOS.workflow()
async def onboard(request: bytes) -> str:
    """The steps of the onboarding, without undo: what a run that succeeds does."""
    wanted, key = OnboardUserRequest.FromString(request), str(DBOS.workflow_id)
    user = User.FromString(await begin(request))
    known = list(_steps[0].data._users.all)
    await reserve(user.email, f"{key}/reserve")
    creates = []
    for store in known:
        one = CreateUserRequest(database=store, key=f"{key}/create in {store}")
        one.record.user.CopyFrom(user)
        one.record.password_hash = (
            wanted.password_hash if store == _steps[0].data._users.authority.database else ""
        )
        creates.append(create(one.SerializeToString()))
    await asyncio.gather(*creates, home(user.user_id, f"{key}/home"))
    profile = wanted.profile
    text = await write(user.display_name, profile.locale, profile.plan, f"{key}/text")
    expected = await ask(user.email, user.display_name, f"{key}/verification")
    if await DBOS.recv_async("token", timeout_seconds=_PATIENCE) != expected:
        raise ValueError("wrong token")
    created, user.state, user.etag = user.etag, User.ACTIVE, f"{user.etag[:-1]}x"
    user.profile.CopyFrom(profile)
    replacements = [
        ReplaceUserRequest(database=store, user=user, expected_etags=[created]) for store in known
    ]
    await asyncio.gather(*(replace(one.SerializeToString()) for one in replacements))
    await greet(user.email, user.display_name, text, f"{key}/welcome")
    return user.user_id


async def _run(count: int, at_once: int, mail: Mails, protection: Protection) -> dict[str, Any]:
    latencies: list[float] = []
    numbers = iter(range(count))

    async def caller() -> None:
        for _ in numbers:
            began = time.perf_counter()
            request = onboarding(new_person())
            arrived = mail.expect(request.email)
            assert request.password == PASSWORD
            await protection.apply(request, tenant=TENANT, request_id=request.request_id)
            with SetWorkflowID(f"{TENANT}/{request.request_id}"):
                handle = await DBOS.start_workflow_async(onboard, request.SerializeToString())
            token = await arrived
            mail.forget(request.email)
            await asyncio.sleep(READING_SECONDS)
            await DBOS.send_async(handle.get_workflow_id(), digest(token), "token")
            await handle.get_result(polling_interval_sec=0.2)
            latencies.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(caller())
    return {"seconds": time.perf_counter() - began, "latencies_ms": sorted(latencies)}


async def main(database_url: str, count: int, at_once: int) -> None:
    """Onboards; prints the figures."""
    async with AsyncExitStack() as stack:
        mail = await stack.enter_async_context(mails())
        os.environ["SMTP_URL"] = mail.url
        settings = GatewaySettings.load()
        assert settings.mail is not None
        store = await stack.enter_async_context(open_s3(CloudSettings.load()))
        claude = await stack.enter_async_context(open_claude(AiSettings.load()))
        chosen = DbSettings.load()
        databases = await open_databases(chosen.configured, chosen.authority_store, stack)
        _steps.append(
            Steps(
                DataSteps(UserDatabases.over(databases)),
                CloudSteps(Homes(store)),
                TextSteps(claude),
                MailSteps(settings.mail, settings.service_keys[0]),
            )
        )
        DBOS(
            config={
                "name": "bench",
                "system_database_url": database_url,
                "log_level": "ERROR",
                "notification_listener_polling_interval_sec": 1.0,
            }
        )
        DBOS.launch()
        protection = Protection(settings.service_keys[0])
        await _run(min(count, 10), at_once, mail, protection)
        print("WARM", flush=True)
        found = await _run(count, at_once, mail, protection)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    sys.stdout.flush()
    os._exit(0)
