"""The house's own worker, with the benchmarks' operations."""

from __future__ import annotations

from typing import ClassVar

import bench.echo
from nexpo.contract import Queue
from nexpo_runtime.service import entrypoint
from nexpo_runtime.settings import Settings
from nexpo_runtime.worker.process import run_worker

from .contract import QUEUE


class BenchSettings(Settings):
    """What every service reads, and nothing else."""

    service: ClassVar[str] = "nexpo-bench"


async def main(settings: BenchSettings) -> None:
    """Runs it until it is told to stop."""
    # Of the contract's own parts it has none.
    await run_worker(settings, bench.echo, expected=Queue(QUEUE))


if __name__ == "__main__":
    entrypoint.run(main, BenchSettings)
