"""Settings of the db-worker."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.transport import (
    postgres_hosts,
    problem_of,
    to_mongodb,
    to_postgres,
    to_sqlserver,
)
from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside, https


class StoreName(StrEnum):
    """A store, as it is called in variables, logs and health answers."""

    POSTGRES = "postgres"
    MONGODB = "mongodb"
    COSMOSDB = "cosmosdb"
    SQLSERVER = "sqlserver"
    SUPABASE = "supabase"

    @property
    def store(self) -> Store.ValueType:
        """The store in the contract."""
        return Store.Value(f"STORE_{self.name}")


_Postgres = Annotated[SecretStr | None, Outside(to_postgres, postgres_hosts)]
_Https = Annotated[SecretStr | None, Outside(https)]

_OPTIONAL = {StoreName.SUPABASE: ("supabase_database_url",)}
_SCHEMES: dict[str, tuple[str, ...]] = {
    "database_url": ("postgresql", "postgres"),
    "mongodb_url": ("mongodb", "mongodb+srv"),
    "cosmosdb_url": ("https", "http"),
    "sqlserver_url": ("mssql",),
    "supabase_url": ("https", "http"),
    "supabase_database_url": ("postgresql", "postgres"),
}
_NEEDED: dict[StoreName, tuple[str, ...]] = {
    StoreName.POSTGRES: ("database_url",),
    StoreName.MONGODB: ("mongodb_url",),
    StoreName.COSMOSDB: ("cosmosdb_url", "cosmosdb_key"),
    StoreName.SQLSERVER: ("sqlserver_url",),
    StoreName.SUPABASE: ("supabase_url", "supabase_key"),
}


class DbSettings(Settings):
    """What the db-worker reads from the environment.

    Attributes:
        authority_store: Which store decides: reservations, locks, lists.
        enable_postgres: Whether users live in PostgreSQL.
        enable_mongodb: Whether users live in MongoDB.
        enable_cosmosdb: Whether users live in Cosmos DB.
        enable_sqlserver: Whether users live in SQL Server.
        enable_supabase: Whether users live in Supabase.
        database_url: "postgresql://user:password@host:port/database".
        mongodb_url: "mongodb://user:password@host:port/database".
        cosmosdb_url: The account's end point.
        cosmosdb_key: One of the account's keys.
        sqlserver_url: "mssql://user:password@host:port/database?Encrypt=...".
        supabase_url: The project's URL.
        supabase_key: A service-role or secret key of the project.
        supabase_database_url: The project's database, for migrations only.
        tombstone_retention_days: How long the fence of an undone effect stays.
        tombstone_purge_interval: Seconds between two purges.
    """

    service: ClassVar[str] = "nexpo-db"

    authority_store: StoreName = StoreName.POSTGRES
    enable_postgres: bool = True
    enable_mongodb: bool = False
    enable_cosmosdb: bool = False
    enable_sqlserver: bool = False
    enable_supabase: bool = False
    database_url: _Postgres = None
    mongodb_url: Annotated[SecretStr | None, Outside(to_mongodb)] = None
    cosmosdb_url: _Https = None
    cosmosdb_key: SecretStr | None = None
    sqlserver_url: Annotated[SecretStr | None, Outside(to_sqlserver)] = None
    supabase_url: _Https = None
    supabase_key: SecretStr | None = None
    supabase_database_url: _Postgres = None
    tombstone_retention_days: float = Field(7.0, ge=1 / 24, le=3650)
    tombstone_purge_interval: float = Field(3600.0, ge=0.1, le=86_400)

    @property
    def tombstone_retention(self) -> timedelta:
        """How long the fence of an undone effect stays."""
        return timedelta(days=self.tombstone_retention_days)

    def enabled(self, name: StoreName) -> bool:
        """Whether the store is switched on."""
        return bool(getattr(self, f"enable_{name}"))

    def secret(self, field: str) -> str:
        """The value of a field that `problems` has found to be set."""
        value: SecretStr | None = getattr(self, field)
        return value.get_secret_value() if value is not None else ""

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        problems = super().problems()
        if not self.enabled(self.authority_store):
            problems.append(
                f"AUTHORITY_STORE: {self.authority_store} decides, but"
                f" ENABLE_{self.authority_store.name} is false; switch it on, or name another"
            )
        for name in filter(self.enabled, StoreName):
            problems += [
                f"{field.upper()}: not set, but ENABLE_{name.name} is true; set it, or set"
                f" ENABLE_{name.name}=false"
                for field in _NEEDED[name]
                if not self.secret(field)
            ]
        for field, schemes in _SCHEMES.items():
            problems += self._url_problems(field, schemes)
        return problems

    def _url_problems(self, field: str, schemes: tuple[str, ...]) -> list[str]:
        value = self.secret(field)
        if not value:
            return []
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.netloc)
        except ValueError:
            good = False
        if not good:
            forms = " or ".join(f"{scheme}://" for scheme in schemes)
            return [f"{field.upper()}: not a URL of the form {forms}...; correct it"]
        # Whether anybody could connect with it is of no interest while nobody does.
        problem = problem_of(value) if self._used(field) else ""
        return [f"{field.upper()}: {problem}"] if problem else []

    def _used(self, field: str) -> bool:
        return any(
            field in (*_NEEDED[name], *_OPTIONAL.get(name, ()))
            for name in filter(self.enabled, StoreName)
        )
