"""Starts the cloud-worker: `python -m nexpo_cloud_worker`."""

from __future__ import annotations

from contextlib import AsyncExitStack

from nexpo.cloud.v1.cloud_service import CloudActivitiesBase
from nexpo_runtime.service import entrypoint
from nexpo_runtime.service.health import Check
from nexpo_runtime.worker.process import run_worker

from .activities.homes import CloudActivities
from .homes import Homes
from .providers.s3 import open_s3
from .purging import purging
from .settings import CloudSettings


async def main(settings: CloudSettings) -> None:
    """Runs the worker until it is told to stop."""
    async with AsyncExitStack() as stack:
        homes = None
        checks: dict[str, Check] = {}
        if settings.enable_object_storage:
            store = await stack.enter_async_context(open_s3(settings))
            homes = Homes(store)
            checks["object_storage"] = store.ping
            await stack.enter_async_context(purging(homes))
        await run_worker(
            settings,
            queue=CloudActivitiesBase.CONTRACT.queue,
            services=[CloudActivities(homes)],
            providers={"object_storage": settings.object_storage_state()},
            checks=checks,
        )


def run() -> None:
    """The command `nexpo-cloud-worker`."""
    entrypoint.run(main, CloudSettings)


if __name__ == "__main__":
    run()
