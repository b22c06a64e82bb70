"""The command and a stack for it, as processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nexpo_dev.stack import Stack


@dataclass(frozen=True)
class Nexpo:
    """Runs `python -m nexpo_cli` as a user does.

    Attributes:
        variables: What the environment holds beside PATH.
    """

    variables: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """The process's environment: nothing of the tester's own configuration."""
        return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.variables, **more}

    def __call__(
        self, *words: str, stdin: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        return subprocess.run(
            [sys.executable, "-m", "nexpo_cli", *words],
            input=stdin,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Runs it beside the test; its standard output can be read line by line."""
        return subprocess.Popen(
            [sys.executable, "-m", "nexpo_cli", *words],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class RunningStack:
    """A stack in a thread of its own, so that tests that block can use it."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        # SQL Server stays off, and Claude too: neither is what these tests are about.
        parts = ("temporal", "postgres", "mongodb", "object_storage", "mailbox")
        services = ("gateway", "db-worker", "cloud-worker", "ai-worker")
        # So that an undo that fails is a human's task soon.
        settings = {"TASK_AFTER": "2"}
        self.stack = Stack(folder, only=(*parts, *services), settings=settings)

    def do(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Runs a coroutine of the stack to its end."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
