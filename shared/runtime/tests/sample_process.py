"""The sample as a process of its own: `python -m shared.runtime.tests.sample_process`."""

from __future__ import annotations

from nexpo.contract import Queue
from nexpo_runtime.service import entrypoint
from nexpo_runtime.settings import Settings
from nexpo_runtime.worker.process import run_worker

from . import sample
from .sample import QUEUE


class SampleSettings(Settings):
    service = "sample-worker"


async def main(settings: SampleSettings) -> None:
    await run_worker(
        settings,
        sample,
        expected=Queue(QUEUE),
        providers={"here": "on", "there": "off: ENABLE_THERE is false"},
    )


if __name__ == "__main__":
    entrypoint.run(main, SampleSettings)
