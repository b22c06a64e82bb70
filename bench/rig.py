"""A fresh Temporal server and the processes that a batch needs, gone when it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import grpc.aio

from nexpo.client import Caller
from nexpo_dev import servers
from nexpo_dev.environment import Secrets
from nexpo_dev.memory import Memory
from nexpo_dev.servers import Server
from nexpo_dev.servers.postgresql import let_pass
from nexpo_dev.service import Service

from .machine import ROOT

TENANT = "dev"
WORK = ROOT / "build" / "bench"
"""Where batches keep their servers' files while they run."""

# A benchmark is one credential and one address; the limits are measured by nobody here.
NO_LIMITS = dict.fromkeys(
    [f"{who}RATE_{what}" for who in ("ADDRESS_", "", "PUBLIC_") for what in ("LIMIT", "BURST")],
    "1000000",
)
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


class Module(Service):
    """A Python module as a service with /ready."""

    def __init__(self, name: str, module: str, folder: Path) -> None:
        super().__init__(name, folder)
        self._module = module

    def command(self) -> Sequence[str | Path]:
        """python -m module."""
        return [sys.executable, "-m", self._module]

    def environment(self) -> Mapping[str, str] | None:
        """Its settings, where it listens, and where the module is."""
        return {**(super().environment() or {}), "PYTHONPATH": str(ROOT)}


class Plain(Module):
    """A Python module that only says READY."""

    async def answers(self) -> bool:
        """Whether it has said so."""
        return "READY" in self.log.read_text()


class Rig:
    """One batch's Temporal server, secrets and processes.

    Attributes:
        folder: Where everything is kept.
        temporal: The server, fresh.
        secrets: With the key of the tenant TENANT, which may do everything.
        settings: What every process of the batch gets as its environment.
    """

    def __init__(self, folder: Path, encrypted: bool) -> None:
        self.folder = folder
        self.temporal = servers.temporal(folder / "temporal")
        self.secrets = Secrets(folder, Memory(folder / "rig.json"))
        if not encrypted:
            del self.secrets.shared["ENCRYPTION_KEYS"]
        self.settings = {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **self.secrets.shared,
            **NO_LIMITS,
            "ENVIRONMENT": "test",
            "TEMPORAL_ADDRESS": self.temporal.url,
            "TEMPORAL_NAMESPACE": self.temporal.namespace,
            "API_KEYS_FILE": str(self.secrets.api_keys_file),
        }

    @property
    def api_key(self) -> str:
        """Of the tenant TENANT; may do everything."""
        return self.secrets.api_key

    @contextlib.asynccontextmanager
    async def running(self, *parts: Server) -> AsyncIterator[dict[str, int]]:
        """Runs services inside the block; yields process ids by name, the server's too."""
        async with contextlib.AsyncExitStack() as stack:
            for part in parts:
                if isinstance(part, Service) and not part.settings:
                    part.settings = self.settings
                await stack.enter_async_context(part)
            yield {"server": self.temporal.pid, **{part.name: part.pid for part in parts}}

    def module(self, name: str, module: str) -> Module:
        """A service of the bench's own, not started."""
        return Module(name, module, self.folder / name)

    def plain(self, name: str, module: str) -> Plain:
        """A program without health, not started."""
        return Plain(name, module, self.folder / name)


@contextlib.asynccontextmanager
async def fresh_rig(encrypted: bool = True) -> AsyncIterator[Rig]:
    """A rig whose Temporal server runs and is empty; all of it is deleted at the end."""
    async with work_folder() as folder:
        rig = Rig(folder, encrypted)
        async with rig.temporal:
            yield rig


@contextlib.asynccontextmanager
async def work_folder() -> AsyncIterator[Path]:
    """A folder that is deleted at the end; kept, with its logs, when the block fails."""
    WORK.mkdir(parents=True, exist_ok=True)
    let_pass(WORK)
    folder = Path(tempfile.mkdtemp(dir=WORK))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def gateway_caller(gateway: Service, api_key: str, **more: str) -> AsyncIterator[Caller]:
    """Calls a gateway over gRPC; `more` is metadata that goes with every call."""
    metadata = [("authorization", f"Bearer {api_key}"), *more.items()]
    async with grpc.aio.insecure_channel(gateway.grpc_address) as channel:
        yield Caller(channel, metadata)
