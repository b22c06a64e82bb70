"""Starts the db-worker: `python -m nexpo_db_worker`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta

import nexpo_db_worker
from nexpo_db_worker.databases.opened import open_databases
from nexpo_db_worker.purge import purging
from nexpo_db_worker.settings import DbSettings
from nexpo_runtime.service import entrypoint
from nexpo_runtime.tenant import Signer
from nexpo_runtime.worker.process import run_worker


async def main(settings: DbSettings) -> None:
    """Runs the worker until it is told to stop."""
    async with AsyncExitStack() as stack:
        authority = settings.authority_store
        databases = await open_databases(settings.configured, authority, stack)
        await stack.enter_async_context(
            purging(
                databases.all.values(),
                older_than=settings.tombstone_retention,
                every=timedelta(seconds=settings.tombstone_purge_interval),
            )
        )
        pings = {name: database.ping for name, database in databases.all.items()}
        await run_worker(
            settings,
            nexpo_db_worker,
            offers=[databases, databases.all[authority], Signer(settings.service_keys)],
            providers=settings.states(),
            checks={authority: pings.pop(authority)},
            optional_checks=pings,
        )


def run() -> None:
    """The command `nexpo-db-worker`."""
    entrypoint.run(main, DbSettings)


if __name__ == "__main__":
    run()
