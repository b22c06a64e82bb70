"""Starts the cloud-worker: `python -m nexpo_cloud_worker`."""

from __future__ import annotations

from contextlib import AsyncExitStack

import nexpo_cloud_worker
from nexpo_runtime.service import entrypoint
from nexpo_runtime.service.health import Check
from nexpo_runtime.worker.process import run_worker

from .homes.homes import Homes
from .homes.purging import purging
from .settings import CloudSettings


async def main(settings: CloudSettings) -> None:
    """Runs the worker until it is told to stop."""
    async with AsyncExitStack() as stack:
        offers: list[object] = []
        checks: dict[str, Check] = {}
        if settings.enable_object_storage:
            from .object_stores.s3 import open_s3  # its SDK, for whoever has switched it on

            store = await stack.enter_async_context(open_s3(settings))
            await stack.enter_async_context(purging(Homes(store)))
            offers.append(store)
            checks["object_storage"] = store.ping
        await run_worker(
            settings,
            nexpo_cloud_worker,
            offers=offers,
            providers={"object_storage": settings.object_storage_state()},
            checks=checks,
        )


def run() -> None:
    """The command `nexpo-cloud-worker`."""
    entrypoint.run(main, CloudSettings)


if __name__ == "__main__":
    run()
