"""The embedded stack: every server and the four services, in one folder, without Docker.

    async with Stack(folder, fault_proxies=["postgres"]) as stack:
        stack.gateway.url, stack.api_key
        stack.proxies["postgres"].cut()
        await stack.services["db-worker"].kill()
        await stack.services["db-worker"].start()

The folder keeps data, ports, secrets and logs; a second Stack on it goes on where the first ended.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Self

from nexpo_dev import ports, servers
from nexpo_dev.environment import Secrets, Servers, environment
from nexpo_dev.fault_proxy import FaultProxy
from nexpo_dev.folder_lock import FolderLock
from nexpo_dev.memory import Memory
from nexpo_dev.servers import Server
from nexpo_dev.servers.postgresql import let_pass
from nexpo_dev.service import Service

SERVERS = tuple(field.name for field in fields(Servers))
SERVICES = ("gateway", "db-worker", "cloud-worker", "ai-worker")

# All below the kernel's ephemeral range, where they could be taken by chance at any time.
PREFERRED_PORTS: Mapping[str, int] = {
    "gateway": 8451,
    "gateway gRPC": 8450,
    "temporal": 7233,
    "temporal UI": 8233,
    "mailbox": 8025,
    "mailbox SMTP": 8026,
    "postgres": 15432,
    "mongodb": 27017,
    "cosmosdb": 18081,
    "sqlserver": 11433,
    "supabase": 18000,
    "object_storage": 18333,
}

_WORKERS_SEEN_S = 15


def chosen_ports(first: int) -> Mapping[str, int]:
    """The ports from `first` on: the gateway's gRPC and REST, then those of the servers."""
    order = ("gateway gRPC", *(name for name in PREFERRED_PORTS if name != "gateway gRPC"))
    return {name: first + index for index, name in enumerate(order)}


def kept_port(folder: Path) -> int | None:
    """The gateway's gRPC port that a folder's stack has; None when there is none yet."""
    return Memory(folder / "gateway" / "server.json").known_port("grpc_port")


class Stack:
    """All of Nexpo on this machine.

    Args:
        folder: where everything is kept; made when missing.
        fault_proxies: between whom to put a FaultProxy: a server ("postgres", "mailbox", ...) or a
            worker ("db-worker": the gateway's way to its gRPC) for everyone who uses it, or
            "service:server" ("db-worker:temporal") for one of them.
        only: the servers and services to run; default all. Providers of the others are off.
        preferred_ports: use the ports that PREFERRED_PORTS names where they are free.
        first_port: use exactly the ports from this one on instead, in the order of PREFERRED_PORTS.
        settings: further environment variables for all services.
        report: told one line for each thing that has started.

    Attributes:
        servers: every server, typed.
        services: the services by name.
        proxies: the fault proxies by the name asked for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fault_proxies: Iterable[str] = (),
        only: Iterable[str] = (*SERVERS, *SERVICES),
        preferred_ports: bool = False,
        first_port: int | None = None,
        settings: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        let_pass(self.folder)
        self._only = set(only)
        self._settings = settings or {}
        self._report = report
        self._wanted: Mapping[str, int] = PREFERRED_PORTS if preferred_ports else {}
        if first_port is not None:
            self._fix_ports(chosen_ports(first_port))
        self._memory = Memory(self.folder / "stack.json")
        self._secrets = Secrets(self.folder, self._memory)
        self.servers = self._make_servers()
        self.services = {name: self._make_service(name) for name in SERVICES}
        self.proxies = {name: FaultProxy(self._target(name)) for name in fault_proxies}
        self._running = contextlib.AsyncExitStack()
        self._lock = FolderLock(self.folder)

    @property
    def api_key(self) -> str:
        """The development key: tenant `dev`, may do everything."""
        return self._secrets.api_key

    @property
    def gateway(self) -> Service:
        """The gateway: REST at `url`, gRPC at `grpc_address`."""
        return self.services["gateway"]

    def all(self) -> Mapping[str, Server]:
        """Every server and service that is to run, by name."""
        everything = {name: getattr(self.servers, name) for name in SERVERS} | self.services
        return {name: server for name, server in everything.items() if name in self._only}

    async def start(self) -> None:
        """Start what does not run: servers together, then services together; wait until ready.

        Raises:
            StartError: something did not start; holds the end of its log.
            PortTakenError: another process has a port; names it.
            AlreadyRunningError: another process runs the stack of this folder.
        """
        self._lock.take()
        parts = self.all()
        await _together(self._start(name, parts[name]) for name in SERVERS if name in parts)
        for service in self.services.values():
            service.settings = self.environment(service.name)
        await _together(self._start(name, parts[name]) for name in SERVICES if name in parts)
        if self._only.issuperset(SERVICES):
            await self._gateway_sees_workers()

    async def stop(self) -> None:
        """End everything in order, services first; data stays."""
        parts = self.all()
        for names in (SERVICES, SERVERS):
            await asyncio.gather(*(parts[name].stop() for name in names if name in parts))
        self._lock.release()

    def remove(self) -> None:
        """Delete the data, in the folder and outside of it. Nothing of it must run."""
        for server in self.all().values():
            server.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        try:
            for proxy in self.proxies.values():
                await self._running.enter_async_context(proxy)
            await self.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()
        await self.stop()
        await self._running.aclose()

    async def _start(self, name: str, server: Server) -> None:
        if server.running:
            return
        begin = time.monotonic()
        await server.start()
        self._report(f"{name} ready after {time.monotonic() - begin:.1f} s, pid {server.pid}")

    async def _gateway_sees_workers(self) -> None:
        """Wait until it does; not for ever, for it serves what it can without them."""
        deadline = time.monotonic() + _WORKERS_SEEN_S
        while time.monotonic() < deadline:
            if await self.gateway.status() == "ok":
                return
            await asyncio.sleep(0.1)

    def _fix_ports(self, chosen: Mapping[str, int]) -> None:
        """Keeps these ports, whatever was kept before."""
        for name, port in chosen.items():
            part, _, kind = name.partition(" ")
            folder = self.folder / part.replace("_", "-")
            folder.mkdir(mode=0o700, exist_ok=True)
            key = f"{kind.lower()}_port" if kind else "port"
            Memory(folder / "server.json").fix_port(key, port)

    def _make_servers(self) -> Servers:
        at, wanted = self.folder, self._wanted.get
        return Servers(
            temporal=servers.temporal(
                at / "temporal", port=wanted("temporal"), ui_port=wanted("temporal UI")
            ),
            postgres=servers.postgres(at / "postgres", port=wanted("postgres")),
            mongodb=servers.mongodb(at / "mongodb", port=wanted("mongodb")),
            cosmosdb=servers.cosmosdb(at / "cosmosdb", port=wanted("cosmosdb")),
            sqlserver=servers.sqlserver(at / "sqlserver", port=wanted("sqlserver")),
            supabase=servers.supabase(at / "supabase", port=wanted("supabase")),
            object_storage=servers.object_storage(
                at / "object-storage", port=wanted("object_storage")
            ),
            claude=servers.claude(at / "claude"),
            mailbox=servers.mailbox(
                at / "mailbox", port=wanted("mailbox"), smtp_port=wanted("mailbox SMTP")
            ),
        )

    def _make_service(self, name: str) -> Service:
        return Service(
            name,
            self.folder / name,
            port=self._wanted.get(name),
            grpc_port=self._wanted.get(f"{name} gRPC"),
        )

    def environment(self, service: str) -> Mapping[str, str]:
        """The whole environment of a service, but for where it listens."""
        made = environment(
            service, self._only, self.servers, self.services, self._secrets, self._reach
        )
        return {**made, **self._settings}

    def _reach(self, service: str, server: str, url: str) -> str:
        proxy = self.proxies.get(f"{service}:{server}") or self.proxies.get(server)
        if proxy is None:
            return url
        return url.replace(f"{ports.HOST}:{proxy.target}", f"{ports.HOST}:{proxy.port}")

    def _target(self, proxied: str) -> int:
        name = proxied.rpartition(":")[2]
        if name == "mailbox":
            return self.servers.mailbox.smtp_port
        if name in SERVERS:
            server: Server = getattr(self.servers, name)
            return server.port
        if name in SERVICES:
            return self.services[name].grpc_port
        raise ValueError(f"There is no server or service {name!r} to put a proxy before.")


async def _together(starts: Iterable[Coroutine[None, None, None]]) -> None:
    """Run them all at once; the first failure ends the others and is raised as it is."""
    tasks = [asyncio.create_task(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
