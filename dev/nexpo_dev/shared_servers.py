"""The process that owns the servers of one test run, so that all pytest workers share one set.

pytest's main process starts it (see pytest_plugin) and holds its standard input open; each fixture
asks it over a Unix socket for a server by name, and the first to ask waits for its start. When the
test run ends, in whatever way, standard input closes, every server is ended and the folder deleted.

Run as: python -m nexpo_dev.shared_servers SOCKET FOLDER
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections import defaultdict
from pathlib import Path

from nexpo_dev import servers
from nexpo_dev.folder_lock import FolderLock
from nexpo_dev.servers import Server, postgresql

_STALE_SECONDS = 60


class SharedServers:
    """Starts a server when somebody first asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Server] = {}
        self._starting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: a line with a name in, a line of JSON out."""
        name = (await reader.readline()).decode().strip()
        try:
            answer = addresses(await self._get(name))
        except Exception as error:  # shown by the test that asked
            answer = {"error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def stop(self) -> None:
        """End all servers. Nobody needs their data any more: SIGKILL is quickest."""
        await asyncio.gather(*(server.kill() for server in self._running.values()))
        for server in self._running.values():
            server.remove()

    async def _get(self, name: str) -> Server:
        async with self._starting[name]:
            if name not in self._running:
                server = make(name, self._folder / name)
                self._running[name] = server
                try:
                    await server.start()
                except BaseException:
                    await server.kill()
                    del self._running[name]
                    raise
            return self._running[name]


def make(name: str, folder: Path) -> Server:
    """A server of this name; clusters do not fsync, which only a power cut could tell."""
    match name:
        case "postgres":
            return servers.postgres(folder, durable=False)
        case "sqlserver":
            return servers.sqlserver(folder, durable=False)
        case "supabase":
            return servers.supabase(folder, durable=False)
        case "mongodb":
            return servers.mongodb(folder)
        case "cosmosdb":
            return servers.cosmosdb(folder)
        case "object_storage":
            return servers.object_storage(folder)
        case "mailbox":
            return servers.mailbox(folder)
        case "claude":
            return servers.claude(folder)
        case "temporal":
            return servers.temporal(folder)
        case _:
            raise ValueError(f"There is no server {name!r}.")


def addresses(server: Server) -> dict[str, str]:
    """The public text attributes of a server: URLs and credentials."""
    names = [name for name in dir(server) if not name.startswith("_")]
    values = {name: getattr(server, name) for name in names if name not in ("pid",)}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def sweep(ours: Path) -> None:
    """Delete what test runs left behind whose owning process was killed before it could."""
    postgresql.sweep()
    for other in ours.parent.glob("nexpo-test-*/run"):
        old = time.time() - other.parent.stat().st_mtime > _STALE_SECONDS
        mine = other.stat().st_uid == os.getuid()
        if mine and old and FolderLock(other).holder() is None:
            shutil.rmtree(other.parent, ignore_errors=True)


def prepare(folder: Path) -> FolderLock:
    """Make the folder; the lock that is given back keeps others from sweeping it away."""
    sweep(folder.parent)
    folder.mkdir(mode=0o700)
    postgresql.let_pass(folder)
    lock = FolderLock(folder)
    lock.take()
    return lock


async def main(socket: Path, folder: Path) -> None:
    """Serve until standard input closes, then end every server and delete the folder."""
    lock = prepare(folder)
    shared = SharedServers(folder)
    try:
        async with await asyncio.start_unix_server(shared.answer, socket):
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    finally:
        await shared.stop()
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
