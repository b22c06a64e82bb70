"""The background process of `make up`: it owns every server and service of one folder.

It writes status.json (mode 0600: it shows credentials) after every change. SIGTERM ends it in
order, SIGUSR1 starts again what has died. When it is killed, the kernel ends its children.
"""

import asyncio
import json
import os
import signal
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from nexpo_dev.addresses import Address, addresses
from nexpo_dev.ports import PortTakenError
from nexpo_dev.servers import StartError
from nexpo_dev.stack import Stack


@dataclass
class Status:
    """What the supervisor tells others, in status.json.

    Attributes:
        state: how far it is.
        round: counts the starts, so that an old "ready" is not taken for a new one.
        error: why it failed, for a person; empty when it did not.
        started: a line for each part that has started.
        running: process id by part; None when it has died.
        addresses: what to show to a person.
    """

    state: Literal["starting", "ready", "failed", "stopped"] = "starting"
    round: int = 0
    error: str = ""
    started: list[str] = field(default_factory=list)
    running: dict[str, int | None] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Replace the status of this folder."""
        draft = folder / "status.new"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
            json.dump(asdict(self), output, indent=2)
        draft.replace(folder / "status.json")

    @classmethod
    def read(cls, folder: Path) -> "Status":
        """The last status of this folder; "stopped" when there is none."""
        file = folder / "status.json"
        if not file.exists():
            return cls(state="stopped")
        kept = json.loads(file.read_text())
        return cls(**{**kept, "addresses": [Address(**one) for one in kept["addresses"]]})


class Supervisor:
    """Runs the stack of one folder until it is told to stop."""

    def __init__(self, folder: Path, first_port: int | None = None) -> None:
        self._status = Status()
        self._stack = Stack(
            folder,
            preferred_ports=True,
            first_port=first_port,
            report=self._status.started.append,
        )
        self._stop = asyncio.Event()
        self._again = asyncio.Event()

    async def run(self) -> int:
        """Run it. Returns the exit code: 0 when it was told to stop, 1 when the start failed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGUSR1, self._again.set)
        try:
            while not self._stop.is_set():
                try:
                    await self._start()
                except (StartError, PortTakenError) as error:
                    if self._status.round == 1:
                        raise
                    # What ran before runs on: only what had died did not come back.
                    self._status.state, self._status.error = "failed", str(error)
                self._again.clear()
                await self._watch(self._again.wait())
            self._status.state = "stopped"
        except (StartError, PortTakenError) as error:
            self._status.state, self._status.error = "failed", str(error)
        finally:
            await self._stack.stop()
            self._status.running = {}
            self._status.write(self._stack.folder)
        return 0 if self._status.state == "stopped" else 1

    async def _start(self) -> None:
        self._status.state, self._status.error = "starting", ""
        self._status.round += 1
        self._status.started.clear()
        await self._watch(self._stack.start())
        if not self._stop.is_set():
            self._status.state, self._status.addresses = "ready", addresses(self._stack)

    async def _watch(self, until: Coroutine[None, None, object]) -> None:
        """Keep status.json true until this is done, or until it is time to stop."""
        wanted, stop = asyncio.create_task(until), asyncio.create_task(self._stop.wait())
        waiting: set[asyncio.Task[object]] = {wanted, stop}
        try:
            while not (wanted.done() or stop.done()):
                self._write()
                await asyncio.wait(waiting, timeout=0.3, return_when=asyncio.FIRST_COMPLETED)
            if wanted.done():
                wanted.result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _write(self) -> None:
        parts = self._stack.all().items()
        self._status.running = {name: p.pid if p.running else None for name, p in parts}
        self._status.write(self._stack.folder)
