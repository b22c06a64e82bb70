"""One child process: guarded, logged, in a process group of its own."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nexpo_dev import guard


class StartError(Exception):
    """A server did not start; the message holds the last lines of its log."""


class Process:
    """A program that dies with this process, whatever ends this process.

    Args:
        command: the program and its arguments.
        log: the file to which its output is appended.
        environment: its whole environment; None for that of this process.
        user: numeric user and group to run as; None for that of this process.
        death_signal: what the kernel sends it when this process dies.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._gone = False
        guarded = [
            *(sys.executable, "-I", "-S", guard.__file__),
            *(str(os.getpid()), str(int(death_signal)), "-" if user is None else str(user), "--"),
            *(str(part) for part in command),
        ]
        log.touch(mode=0o600)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                guarded,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=log.parent if user is None else "/",
                process_group=0,  # Ctrl-C goes to the parent alone, which ends things in order
            )

    @property
    def pid(self) -> int:
        """The process id, also the id of its process group."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    async def ended(self, *, within: float) -> bool:
        """Whether it ended within so many seconds."""
        deadline = time.monotonic() + within
        while self.exit_code is None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def end(self, how: signal.Signals, patience: float) -> None:
        """Send a signal; after so many seconds of patience, SIGKILL its whole group."""
        if self.exit_code is None:
            os.kill(self.pid, how)
            await self.ended(within=patience)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL it and what it started, and wait until all of it is gone."""
        if self._gone:  # its number may be another's by now
            return
        started = _descendants(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in started:  # PostgreSQL's children have groups of their own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._gone = await self.ended(within=10)
        # Until the last one is gone the next server would find its shared memory in use.
        await _all_gone(started, within=10)


def _descendants(pid: int) -> list[int]:
    """Its children that live, and theirs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


async def _all_gone(pids: Sequence[int], *, within: float) -> None:
    deadline = time.monotonic() + within
    while any(map(_runs, pids)):
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file, indented, for an error message."""
    if not log.exists():
        return "  (no log)"
    lines = log.read_text(errors="replace").splitlines()[-count:]
    return "\n".join(f"  | {line}" for line in lines) or "  (the log is empty)"
