"""What all servers of the embedded stack share: start, ready, kill, stop."""

import asyncio
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from nexpo_dev import ports
from nexpo_dev.memory import Memory
from nexpo_dev.servers.process import Process, StartError, last_lines

START_SECONDS = 240.0
"""How long a server may take to answer: a machine that does much else is slow, not broken."""


class Server(ABC):
    """A real server as a child process: same port, same secrets, same data at every start.

    Port and secrets are chosen at first use and kept in `folder/server.json` (mode 0600), so a
    second object on the same folder is the same server.

    Args:
        folder: where it keeps everything; made when missing, with mode 0700.
        port: the port to prefer at the very first start.
    """

    name: str
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL
    patience: ClassVar[float] = 10  # seconds from the stop signal to SIGKILL
    user: int | None = None

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log = self.folder / f"{self.name}.log"
        self.parts: Sequence[Server] = ()
        self.memory = Memory(self.folder / "server.json")
        self.port = self.memory.port("port", port)
        self._process: Process | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where a client reaches it, with credentials where the scheme has a place for them."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """The program and its arguments."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it serves its protocol now; may raise anything while it does not."""

    def environment(self) -> Mapping[str, str] | None:
        """The whole environment of the process; None for that of this process."""
        return None

    async def prepare(self) -> None:  # noqa: B027  # most have nothing to prepare
        """Whatever must be done before the process can start; done again at every start."""

    @property
    def pid(self) -> int:
        """Process id of the running server.

        Raises:
            RuntimeError: it does not run.
        """
        if self._process is None or self._process.exit_code is not None:
            raise RuntimeError(f"{self.name} does not run.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.exit_code is None

    async def start(self, *, within: float = START_SECONDS) -> None:
        """Start it and wait, at most so many seconds, until it answers. No effect while it runs.

        Raises:
            StartError: it ended or did not answer in time; holds the end of its log.
            PortTakenError: another process has its port; names it.
        """
        for part in self.parts:
            await part.start(within=within)
        if self.running:
            return
        await self.prepare()
        for port in self.memory.all_ports:
            if not ports.is_free(port):
                raise ports.PortTakenError(port, self.name)
        self.spawn()
        await self.wait_until_ready(within)

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        self._process = Process(
            self.command(),
            self.log,
            environment=self.environment(),
            user=self.user,
            death_signal=self.death_signal,
        )

    async def wait_until_ready(self, within: float = START_SECONDS) -> None:
        """Wait, at most so many seconds, until it answers.

        Raises:
            StartError: it ended or did not answer in time; holds the end of its log.
        """
        deadline = time.monotonic() + within
        trouble = ""
        while True:
            if not self.running:
                raise StartError(f"{self.name} ended at start:\n{last_lines(self.log)}")
            try:
                if await asyncio.wait_for(self.answers(), 15):
                    return
            except Exception as error:  # a server that is not ready fails in any way it likes
                trouble = f" ({str(error) or type(error).__name__})"
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.name} did not answer within {within:.0f} s{trouble}:\n"
                    f"{last_lines(self.log)}"
                )
            await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL it, and its parts: nothing of it gets to say goodbye."""
        if self._process is not None:
            await self._process.kill()
        for part in reversed(self.parts):
            await part.kill()

    async def stop(self) -> None:
        """End it in order, then its parts. No effect when it does not run."""
        if self._process is not None:
            await self._process.end(self.stop_signal, self.patience)
        for part in reversed(self.parts):
            await part.stop()

    def remove(self) -> None:
        """Delete all it keeps. It must not run."""
        for part in self.parts:
            part.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


async def accepts(port: int) -> bool:
    """Whether something takes TCP connections on this port of 127.0.0.1."""
    _, writer = await asyncio.open_connection(ports.HOST, port)
    writer.close()
    await writer.wait_closed()
    return True
