"""Settings of the db-worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from nexpo_db_worker.databases.configured import Configured
from nexpo_db_worker.databases.file import DatabasesFile
from nexpo_db_worker.engines import ENGINES
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Option
from nexpo_db_worker.engines.mongodb import address as mongodb
from nexpo_db_worker.engines.postgres import address as postgres
from nexpo_db_worker.engines.sqlserver import target as sqlserver
from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside, https, judged

_Postgres = Annotated[SecretStr | None, postgres.OUTSIDE]
_Https = Annotated[SecretStr | None, Outside(https)]


class DbSettings(Settings):
    """What the db-worker reads from the environment.

    Attributes:
        authority_store: Id of the database that decides: reservations, locks, lists.
        databases_file: A file of databases, in place of the variables of each kind.
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

    authority_store: str = "postgres"
    databases_file: Path | None = None
    enable_postgres: bool = True
    enable_mongodb: bool = False
    enable_cosmosdb: bool = False
    enable_sqlserver: bool = False
    enable_supabase: bool = False
    database_url: _Postgres = None
    mongodb_url: Annotated[SecretStr | None, mongodb.OUTSIDE] = None
    cosmosdb_url: _Https = None
    cosmosdb_key: SecretStr | None = None
    sqlserver_url: Annotated[SecretStr | None, sqlserver.OUTSIDE] = None
    supabase_url: _Https = None
    supabase_key: SecretStr | None = None
    supabase_database_url: _Postgres = None
    tombstone_retention_days: float = Field(7.0, ge=1 / 24, le=3650)
    tombstone_purge_interval: float = Field(3600.0, ge=0.1, le=86_400)

    @property
    def tombstone_retention(self) -> timedelta:
        """How long the fence of an undone effect stays."""
        return timedelta(days=self.tombstone_retention_days)

    @cached_property
    def configured(self) -> Mapping[str, Configured]:
        """The databases, by id: the file's, or of each kind the one of the variables."""
        if self._file is not None:
            return self._file.configured
        return {engine.kind: self._of_variables(engine) for engine in ENGINES.values()}

    def entries(self) -> list[DatabaseEntry]:
        """The databases that are switched on."""
        found = (configured.entry for configured in self.configured.values())
        return [entry for entry in found if entry is not None]

    def states(self) -> Mapping[str, str]:
        """ "on", or "off: why", by the id of every database."""
        return {
            database: "on" if configured.entry else f"off: {configured.off}"
            for database, configured in self.configured.items()
        }

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        problems = [*super().problems(), *self._database_problems()]
        authority = self.configured.get(self.authority_store)
        if self._file is not None and self._file.problems:
            return problems  # what is missing there may be the authority
        if authority is None:
            known = ", ".join(self.configured)
            problems.append(f"AUTHORITY_STORE: no database has this id; name one of {known}")
        elif authority.entry is None:
            problems.append(
                f"AUTHORITY_STORE: {self.authority_store} decides, but {authority.off}; switch it"
                " on, or name another"
            )
        return problems

    def exposed(self) -> Iterator[tuple[str, str]]:
        """The base's, and the options of the file's databases."""
        yield from super().exposed()
        for entry in self.entries() if self._file is not None else ():
            for option in ENGINES[entry.kind].options:
                value = entry.options.get(option.name, "")
                if value and option.outside and (why := judged(option.outside, self, value)):
                    yield f"databases.{entry.id}.{option.name}", why

    @cached_property
    def _file(self) -> DatabasesFile | None:
        return DatabasesFile(self.databases_file) if self.databases_file is not None else None

    def _database_problems(self) -> list[str]:
        if self._file is None:
            return [
                f"{option.variable}: {problem}"
                for engine in ENGINES.values()
                for option in engine.options
                if option.variable and (problem := self._problem(engine, option))
            ]
        replaced = {f"enable_{kind}" for kind in ENGINES}
        for engine in ENGINES.values():
            replaced |= {option.variable.lower() for option in engine.options}
        given = sorted(self.model_fields_set & replaced)
        return [
            *self._file.problems,
            *(
                f"{name.upper()}: set beside DATABASES_FILE; move it into the file"
                for name in given
            ),
        ]

    def _of_variables(self, engine: Engine) -> Configured:
        if not self._is_on(engine):
            return Configured(engine.kind, off=f"ENABLE_{engine.kind.upper()} is false")
        options = {
            option.name: value
            for option in engine.options
            if option.variable and (value := self._secret(option.variable))
        }
        return Configured(engine.kind, DatabaseEntry(engine.kind, engine.kind, options))

    def _problem(self, engine: Engine, option: Option) -> str:
        value = self._secret(option.variable)
        if malformed := option.malformed(value):
            return malformed
        # Whether anybody could connect with it is of no interest while nobody does.
        if not self._is_on(engine):
            return ""
        if option.required and not value:
            switch = f"ENABLE_{engine.kind.upper()}"
            return f"not set, but {switch} is true; set it, or set {switch}=false"
        return option.problem(value) if value else ""

    def _secret(self, variable: str) -> str:
        value: SecretStr | None = getattr(self, variable.lower())
        return value.get_secret_value() if value is not None else ""

    def _is_on(self, engine: Engine) -> bool:
        return bool(getattr(self, f"enable_{engine.kind}", False))
