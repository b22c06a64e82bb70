"""A Supabase project: PostgREST on a PostgreSQL cluster of its own, behind an API-key gate."""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import asyncpg
import httpx

from nexpo_dev import ports
from nexpo_dev.servers.postgresql import PostgresServer, let_pass
from nexpo_dev.servers.postgrest import PostgrestServer
from nexpo_dev.servers.server import Server

_TEN_YEARS = 10 * 365 * 24 * 3600


class SupabaseServer(Server):
    """`url` and `key` as Supabase's client wants them; migrations go to `database_url`.

    `key` is the service key (row level security does not bind it), `anon_key` the public one. Of
    its parts, `postgres` and `postgrest` can be killed and started apart.
    """

    name = "supabase"

    def __init__(self, folder: Path, *, durable: bool = True, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        let_pass(self.folder)
        self.postgres = _ProjectDatabase(self.folder / "postgres", durable=durable)
        jwt_secret = self.memory.secret("jwt_secret")
        self.key = self.memory.text("key", lambda: _token("service_role", jwt_secret))
        self.anon_key = self.memory.text("anon_key", lambda: _token("anon", jwt_secret))
        self.postgrest = PostgrestServer(
            self.folder / "postgrest",
            database_url=self.postgres.authenticator_url,
            jwt_secret=jwt_secret,
        )
        self.parts = [self.postgres, self.postgrest]

    @property
    def url(self) -> str:
        """The project's URL."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def database_url(self) -> str:
        """Superuser's login to its PostgreSQL."""
        return self.postgres.url

    def command(self) -> Sequence[str | Path]:
        """python -m nexpo_standins.supabase."""
        return [
            *(sys.executable, "-m", "nexpo_standins.supabase", "--port", str(self.port)),
            *("--postgrest", self.postgrest.url),
        ]

    def environment(self) -> Mapping[str, str] | None:
        """The two keys, which are nobody's to read in the list of processes."""
        return {**os.environ, "NEXPO_SUPABASE_KEYS": f"{self.key},{self.anon_key}"}

    async def answers(self) -> bool:
        """Whether the service key opens the API."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.url}/rest/v1/", headers={"apikey": self.key})
        return answer.is_success


class _ProjectDatabase(PostgresServer):
    """PostgreSQL with the roles of a Supabase project."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        super().__init__(folder, durable=durable)
        self._authenticator = self.memory.secret("authenticator_password")

    @property
    def authenticator_url(self) -> str:
        """Login of the role by which PostgREST comes in."""
        return f"postgresql://authenticator:{self._authenticator}@{ports.HOST}:{self.port}/nexpo"

    async def answers(self) -> bool:
        """Whether it serves and has the roles, which it makes when missing."""
        await super().answers()
        roles = resources.files("nexpo_standins.supabase") / "project.sql"
        database = await asyncpg.connect(self.url, timeout=3)
        try:
            await database.execute(roles.read_text())
            await database.execute(f"ALTER ROLE authenticator PASSWORD '{self._authenticator}'")
        finally:
            await database.close()
        return True


def _token(role: str, secret: str) -> str:
    """An API key as Supabase makes them: a JSON Web Token (RFC 7519, HS256) that names a role."""
    now = int(time.time())
    claims = {"iss": "supabase", "role": role, "iat": now, "exp": now + _TEN_YEARS}
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
