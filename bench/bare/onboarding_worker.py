"""One worker of the bare onboarding: its role is flow, data, cloud or ai."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from nexpo_ai_worker.claude.client import open_claude
from nexpo_ai_worker.settings import AiSettings
from nexpo_cloud_worker.homes.homes import Homes
from nexpo_cloud_worker.object_stores.s3 import open_s3
from nexpo_cloud_worker.settings import CloudSettings
from nexpo_db_worker.databases.opened import open_databases
from nexpo_db_worker.settings import DbSettings
from nexpo_db_worker.users.users import UserDatabases
from nexpo_gateway.settings import GatewaySettings

from .onboarding import AI, CLOUD, DATA, FLOW, BareOnboarding
from .polling import poll
from .steps import CloudSteps, DataSteps, MailSteps, TextSteps

Step = Callable[..., Any]


async def main(role: str) -> None:
    """Polls the role's queue until SIGTERM."""
    async with AsyncExitStack() as stack:
        match role:
            case "flow":
                settings = GatewaySettings.load()
                assert settings.mail is not None
                mail = MailSteps(settings.mail, settings.service_keys[0])
                await poll(FLOW, [BareOnboarding], [mail.send_verification, mail.send_welcome])
            case "data":
                chosen = DbSettings.load()
                databases = await open_databases(chosen.configured, chosen.authority_store, stack)
                data = DataSteps(UserDatabases.over(databases))
                activities: list[Step] = [
                    *(data.describe_databases, data.reserve_email, data.release_email),
                    *(data.create_user, data.remove_user, data.replace_user),
                ]
                await poll(DATA, [], activities)
            case "cloud":
                store = await stack.enter_async_context(open_s3(CloudSettings.load()))
                cloud = CloudSteps(Homes(store))
                await poll(CLOUD, [], [cloud.create_home, cloud.remove_home])
            case "ai":
                claude = await stack.enter_async_context(open_claude(AiSettings.load()))
                await poll(AI, [], [TextSteps(claude).write_welcome])
            case _:
                raise SystemExit(f"There is no role {role!r}.")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
