"""Faults of the world around the services: servers that die, networks that break, disks that fill.

Each is a context manager: entering it makes the fault, leaving it ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes.util
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx

from nexpo_dev.fault_proxy import FaultProxy
from nexpo_dev.fault_rules import Action, Rule
from nexpo_dev.servers import Server

from .field import Field
from .places import PROXIED, STORES

DISK_MIB = 320
_FAULT_SECONDS = 5.0
_SLOW_SECONDS = 3.0
_CLOCK = "+3600s"
_NONSENSE = b"\x15\x03\x01nonsense \xff\xfe\r\n\r\n"


class Skipped(Exception):
    """A case that cannot run here; the text says why."""


Strike = Callable[[Field], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class WorldFault:
    """One fault of the world.

    Attributes:
        name: For people.
        strike: Makes it, and ends it.
        seconds: How long it lasts.
        all_succeed: Whether every onboarding must outlive it.
    """

    name: str
    strike: Strike
    seconds: float = _FAULT_SECONDS
    all_succeed: bool = False


def _server(field: Field, name: str) -> Server:
    found: Server = getattr(field.stack.servers, name)
    return found


def _killed(name: str) -> Strike:
    @contextlib.asynccontextmanager
    async def strike(field: Field) -> AsyncIterator[None]:
        server = _server(field, name)
        await server.kill()
        try:
            yield
        finally:
            await server.start()

    return strike


def _network(name: str, break_it: Callable[[FaultProxy], None]) -> Strike:
    @contextlib.asynccontextmanager
    async def strike(field: Field) -> AsyncIterator[None]:
        proxy = field.stack.proxies[name]
        break_it(proxy)
        try:
            yield
        finally:
            proxy.heal()

    return strike


def _all_requests(name: str, action: Action, answer: bytes = b"", every: float = 0.0) -> Strike:
    """Treats every request to a server by a rule; what it holds goes on `every` so many seconds."""

    async def pace(rule: Rule) -> None:
        while True:
            await asyncio.sleep(every)
            rule.release()

    @contextlib.asynccontextmanager
    async def strike(field: Field) -> AsyncIterator[None]:
        proxy = field.stack.proxies[name]
        rule = proxy.add(Rule(action, answer=answer))
        pacing = asyncio.create_task(pace(rule)) if every else None
        try:
            yield
        finally:
            if pacing is not None:
                pacing.cancel()
            rule.release()
            proxy.heal()

    return strike


def _claude(**fault: object) -> Strike:
    @contextlib.asynccontextmanager
    async def strike(field: Field) -> AsyncIterator[None]:
        url = f"{field.stack.servers.claude.url}/_fault"
        async with httpx.AsyncClient(trust_env=False) as http:
            (await http.post(url, json=fault)).raise_for_status()
            try:
                yield
            finally:
                await http.delete(url)

    return strike


def _mailbox(mode: str, seconds: float = 0.0) -> Strike:
    @contextlib.asynccontextmanager
    async def strike(field: Field) -> AsyncIterator[None]:
        url = f"{field.stack.servers.mailbox.url}/fault"
        async with httpx.AsyncClient(trust_env=False) as http:
            (await http.put(url, json={"mode": mode, "seconds": seconds})).raise_for_status()
            try:
                yield
            finally:
                await http.put(url, json={"mode": "none"})

    return strike


@contextlib.asynccontextmanager
async def _disk_full(field: Field) -> AsyncIterator[None]:
    """PostgreSQL, the authority, has not a byte left."""
    server = field.stack.servers.postgres
    if not _has_small_disk(server.folder):
        raise Skipped("no tmpfs could be mounted for PostgreSQL's data (it takes root)")
    ballast = server.folder / "ballast"
    with ballast.open("wb", buffering=0) as output, contextlib.suppress(OSError):
        while True:
            output.write(b"\0" * 65536)
    try:
        yield
    finally:
        ballast.unlink()
        if not server.running:  # without room for its log PostgreSQL stops
            await server.start()


def _clock_off(service: str) -> Strike:
    @contextlib.asynccontextmanager
    async def strike(field: Field) -> AsyncIterator[None]:
        library = find_faketime()
        if library is None:
            raise Skipped("libfaketime is not there; LIBFAKETIME may name it")
        worker = field.stack.services[service]
        usual = worker.settings
        wrong = {
            "LD_PRELOAD": str(library),
            "FAKETIME": _CLOCK,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        try:
            await worker.kill()
            worker.settings = {**usual, **wrong}
            worker.spawn()  # with such a clock it may rightly never be ready
            yield
        finally:
            await worker.kill()
            worker.settings = usual
            await worker.start()

    return strike


def find_faketime() -> Path | None:
    """libfaketime of LIBFAKETIME, of the system, or of a package of that name."""
    named = os.environ.get("LIBFAKETIME", "")
    folders = [Path("/usr/lib"), Path("/usr/local/lib")]
    package = find_spec("libfaketime")
    if package is not None and package.origin:
        folders.insert(0, Path(package.origin).parent)
    found = [Path(named)] if named else []
    found += [file for folder in folders for file in folder.glob("**/libfaketime.so.1")]
    system = ctypes.util.find_library("faketime")
    return next((file for file in found if file.is_file()), Path(system) if system else None)


def mount_small_disk(folder: Path) -> bool:
    """Mounts a tmpfs of DISK_MIB there; False where that is not allowed."""
    folder.mkdir(mode=0o711, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0711", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _has_small_disk(folder: Path) -> bool:
    return folder.is_mount()


def unmount(folder: Path) -> None:
    """Takes it away again."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


WORLD_PROXIED = (*PROXIED, "db-worker:temporal")

WORLD_FAULTS = (
    WorldFault("Temporal killed and restarted", _killed("temporal"), all_succeed=True),
    WorldFault(
        "db-worker cut off from Temporal",
        _network("db-worker:temporal", FaultProxy.cut),
        all_succeed=True,
    ),
    *(WorldFault(f"{name} killed and restarted", _killed(name)) for name in STORES),
    *(WorldFault(f"{name}: network cut", _network(name, FaultProxy.cut)) for name in STORES),
    *(
        WorldFault(
            f"{name}: network half a second slow each way",
            _network(name, lambda proxy: proxy.delay(0.5)),
        )
        for name in STORES
    ),
    *(
        WorldFault(f"{name}: reset half-way through replies", _all_requests(name, "reset reply"))
        for name in STORES
    ),
    WorldFault("object storage killed and restarted", _killed("object_storage")),
    WorldFault(
        "object storage slow", _all_requests("object_storage", "hold request", every=_SLOW_SECONDS)
    ),
    WorldFault(
        "object storage answers nonsense", _all_requests("object_storage", "answer", _NONSENSE)
    ),
    WorldFault("SMTP away", _mailbox("away"), all_succeed=True),
    WorldFault("SMTP slow", _mailbox("delay", _SLOW_SECONDS), all_succeed=True),
    WorldFault("SMTP answers nonsense", _all_requests("mailbox", "answer", _NONSENSE)),
    WorldFault("Claude away", _killed("claude"), all_succeed=True),
    WorldFault("Claude slow", _claude(kind="slow", seconds=30), all_succeed=True),
    WorldFault("Claude answers nonsense", _claude(kind="nonsense"), all_succeed=True),
    WorldFault("disk full for PostgreSQL", _disk_full),
    *(
        WorldFault(f"clock of {name} an hour ahead", _clock_off(name), seconds=15)
        for name in ("db-worker", "cloud-worker", "gateway")
    ),
)
