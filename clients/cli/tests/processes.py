"""The command and a stack for it, as processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class RunningStack:
    """A stack, used by tests that block."""

    stack: Stack

    def do(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Runs a coroutine of the stack to its end."""
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(coroutine)
