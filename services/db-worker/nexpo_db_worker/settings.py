"""Settings of the db-worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from nexpo_db_worker.engines import ENGINES
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Option
from nexpo_db_worker.engines.mongodb import address as mongodb
from nexpo_db_worker.engines.postgres import address as postgres
from nexpo_db_worker.engines.sqlserver import target as sqlserver
from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside, https


def _kind(value: str) -> str:
    if value not in ENGINES:
        raise ValueError(f"not one of {', '.join(ENGINES)}")
    return value


_Postgres = Annotated[SecretStr | None, Outside(postgres.exposed, postgres.hosts)]
_Https = Annotated[SecretStr | None, Outside(https)]


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

    authority_store: Annotated[str, AfterValidator(_kind)] = "postgres"
    enable_postgres: bool = True
    enable_mongodb: bool = False
    enable_cosmosdb: bool = False
    enable_sqlserver: bool = False
    enable_supabase: bool = False
    database_url: _Postgres = None
    mongodb_url: Annotated[SecretStr | None, Outside(mongodb.exposed)] = None
    cosmosdb_url: _Https = None
    cosmosdb_key: SecretStr | None = None
    sqlserver_url: Annotated[SecretStr | None, Outside(sqlserver.exposed)] = None
    supabase_url: _Https = None
    supabase_key: SecretStr | None = None
    supabase_database_url: _Postgres = None
    tombstone_retention_days: float = Field(7.0, ge=1 / 24, le=3650)
    tombstone_purge_interval: float = Field(3600.0, ge=0.1, le=86_400)

    @property
    def tombstone_retention(self) -> timedelta:
        """How long the fence of an undone effect stays."""
        return timedelta(days=self.tombstone_retention_days)

    def enabled(self, kind: str) -> bool:
        """Whether the database of the kind's own name is switched on."""
        return bool(getattr(self, f"enable_{kind}", False))

    def entries(self) -> list[DatabaseEntry]:
        """The databases that are switched on; each has its kind for an id."""
        return [
            DatabaseEntry(engine.kind, engine.kind, dict(self._options(engine)))
            for engine in filter(self._is_on, ENGINES.values())
        ]

    def states(self) -> Mapping[str, str]:
        """ "on", or "off: why", by the name of every database that can be switched on."""
        return {
            kind: "on" if self.enabled(kind) else f"off: ENABLE_{kind.upper()} is false"
            for kind in ENGINES
        }

    def secret(self, field: str) -> str:
        """The value of a field; "" when it is not set."""
        value: SecretStr | None = getattr(self, field)
        return value.get_secret_value() if value is not None else ""

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        problems, name = super().problems(), self.authority_store
        if not self.enabled(name):
            problems.append(
                f"AUTHORITY_STORE: {name} decides, but ENABLE_{name.upper()} is false; switch it"
                " on, or name another"
            )
        for engine in ENGINES.values():
            for option in filter(lambda option: option.variable, engine.options):
                if problem := self._problem(engine, option):
                    problems.append(f"{option.variable}: {problem}")
        return problems

    def _problem(self, engine: Engine, option: Option) -> str:
        value = self.secret(option.variable.lower())
        if malformed := option.malformed(value):
            return malformed
        # Whether anybody could connect with it is of no interest while nobody does.
        if not self._is_on(engine):
            return ""
        if option.required and not value:
            switch = f"ENABLE_{engine.kind.upper()}"
            return f"not set, but {switch} is true; set it, or set {switch}=false"
        return option.problem(value) if value else ""

    def _options(self, engine: Engine) -> Iterator[tuple[str, str]]:
        for option in engine.options:
            if option.variable and (value := self.secret(option.variable.lower())):
                yield option.name, value

    def _is_on(self, engine: Engine) -> bool:
        return self.enabled(engine.kind)
