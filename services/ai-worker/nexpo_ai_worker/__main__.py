"""Starts the ai-worker: `python -m nexpo_ai_worker`."""

from __future__ import annotations

import nexpo_ai_worker
from nexpo_runtime.service import entrypoint
from nexpo_runtime.worker.process import run_worker

from .claude.client import open_claude
from .settings import AiSettings


async def main(settings: AiSettings) -> None:
    """Runs the worker until it is told to stop."""
    await run_worker(
        settings,
        nexpo_ai_worker,
        offers=[open_claude],
        providers={"claude": settings.claude_state()},
    )


def run() -> None:
    """The command `nexpo-ai-worker`."""
    entrypoint.run(main, AiSettings)


if __name__ == "__main__":
    run()
