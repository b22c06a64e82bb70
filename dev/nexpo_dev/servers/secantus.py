"""MongoDB's wire protocol by SecantusDB, from its wheel: a server process, never imported here.

It is not mongod (which no package registry has). It speaks the real protocol to the real drivers,
with transactions, change streams and SCRAM; it has no text index and one node only.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from nexpo_dev import ports
from nexpo_dev.servers.server import Server


class MongoServer(Server):
    """A replica set of one, with login; a write that was acknowledged is on disk."""

    name = "mongodb"

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        self.password = self.memory.secret("password")

    @property
    def url(self) -> str:
        """mongodb://nexpo:password@127.0.0.1:port/?authSource=admin..."""
        return (
            f"mongodb://nexpo:{self.password}@{ports.HOST}:{self.port}/"
            "?authSource=admin&directConnection=true"
        )

    def command(self) -> Sequence[str | Path]:
        """The server, with login only once the user was made."""
        login = ["--auth"] if self._has_user.exists() else []
        return [
            *(sys.executable, "-m", "secantus", "--host", ports.HOST, "--port", str(self.port)),
            *("--storage-path", self.folder / "data", "--sync-on-commit", "--cache-size", "128M"),
            *("--log-level", "WARNING", *login),
        ]

    async def prepare(self) -> None:
        """Make the user at the first start, by a run of the server without login."""
        if self._has_user.exists():
            return
        self.spawn()
        await self.wait_until_ready()
        await self._make_user()
        self._has_user.touch()
        await self.kill()  # acknowledged is on disk; to end in order takes it 2 s

    async def answers(self) -> bool:
        """Whether it answers a ping."""
        url = self.url if self._has_user.exists() else self._url_without_login
        async with AsyncMongoClient[dict[str, object]](
            url, serverSelectionTimeoutMS=1000
        ) as client:
            await client.admin.command("ping")
        return True

    @property
    def _has_user(self) -> Path:
        return self.folder / "user.made"

    @property
    def _url_without_login(self) -> str:
        return f"mongodb://{ports.HOST}:{self.port}/?directConnection=true"

    async def _make_user(self) -> None:
        async with AsyncMongoClient[dict[str, object]](self._url_without_login) as client:
            try:
                await client.admin.command("createUser", "nexpo", pwd=self.password, roles=["root"])
            except OperationFailure as error:
                already_there = 51003
                if error.code != already_there:
                    raise
