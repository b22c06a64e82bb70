"""The databases that are switched on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.fences import Fences
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.records import Records
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.databases.configured import Configured
from nexpo_db_worker.engines import ENGINES
from nexpo_db_worker.engines.engine import DatabaseEntry, Engine, Opened
from nexpo_db_worker.engines.migrations import Migration, migrations_of
from nexpo_db_worker.observed import observed
from nexpo_runtime.errors import ContractError, Fault

C = TypeVar("C")


class Database:
    """A database that is open, and what it can be asked for.

    Attributes:
        origin: Its id and title.
        fenced: By table, the fences that were asked for: what must be purged.
    """

    def __init__(
        self, origin: Origin, engine: Engine, opened: Opened, migrations: Sequence[Migration]
    ) -> None:
        self.origin = origin
        self.fenced: dict[str, Fences] = {}
        self._engine = engine
        self._opened = opened
        self._version: str | None = None
        self._migrations = migrations

    @property
    def id(self) -> str:
        """What everything calls it."""
        return self.origin.id

    def fences(self, table: Table) -> Fences:
        """Fenced effects on a table. Raises: Fault: CAPABILITY_MISSING; ContractError."""
        made = self._made(Capability.FENCES, self._opened.fences, table)
        return self.fenced.setdefault(table.name, made)

    def records(self, table: Table) -> Records:
        """A table's live rows. Raises: Fault: CAPABILITY_MISSING; ContractError."""
        if not table.etag or not table.order:
            raise ContractError(f"The table {table.name} needs an etag and an order for records.")
        return self._made(Capability.RECORDS, self._opened.records, table)

    async def ping(self) -> None:
        """Answers when the database does. Raises: Fault: The database's."""
        await self._opened.ping()

    async def version(self) -> str:
        """The database's own, asked for once; "" where it tells none. Raises: As ping."""
        if self._version is None:
            self._version = await self._opened.version()
        return self._version

    @property
    def kind(self) -> str:
        """Its engine's."""
        return self._engine.kind

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can be asked for."""
        return self._engine.capabilities

    def _made(self, capability: Capability, make: Callable[[Table], C] | None, table: Table) -> C:
        if make is None:
            raise Fault(
                Reason.REASON_CAPABILITY_MISSING,
                f"{self._engine.title} cannot do what is asked for: it lacks {capability}.",
                metadata={
                    "database": self.origin.name,
                    "engine": self._engine.kind,
                    "capability": capability,
                },
            )
        self._check_made(table)
        return observed(make(table), self.id, table.name)

    def _check_made(self, table: Table) -> None:
        """Without its table an engine would say so late, or keep rows that nothing fences."""
        name = re.compile(rf"(?<![a-z0-9_])(nexpo_)?{table.name}(?![a-z0-9_])")
        if not any(name.search(migration.text) for migration in self._migrations):
            raise ContractError(
                f"No migration for {self._engine.kind}, which {self.id} is, makes the table"
                f" {table.name}: write <capability>/migrations/{self._engine.kind}/NNNN_..."
            )


@dataclass(frozen=True)
class Databases:
    """The databases that are switched on: what a capability's classes ask for.

    Attributes:
        all: By id.
        authority: The id of the one that decides.
        configured: By id, those that are off too.
    """

    all: Mapping[str, Database]
    authority: str
    configured: Mapping[str, Configured]


@asynccontextmanager
async def open_database(
    entry: DatabaseEntry, migrations: Sequence[Migration] | None = None
) -> AsyncIterator[Database]:
    """Opens a database.

    One that is away does not matter here: it is met, and migrated, at the first call that
    reaches it.

    Args:
        entry: Which.
        migrations: In order; by default all that there are for its kind.

    Raises:
        ContractError: There is no such kind, or it offers not what it declares.
        ValueError: An option is malformed.
    """
    engine = ENGINES.get(entry.kind)
    if engine is None:
        raise ContractError(f"No engine is called {entry.kind}; there are {', '.join(ENGINES)}.")
    title = engine.title if entry.id == entry.kind else f"{engine.title} ({entry.id})"
    origin = Origin(entry.id, title)
    steps = migrations_of(entry.kind) if migrations is None else migrations
    async with engine.open(entry, origin, steps) as opened:
        if set(opened.capabilities()) != engine.capabilities:
            raise ContractError(f"{engine.kind} must offer exactly what its ENGINE declares.")
        yield Database(origin, engine, opened, steps)


async def open_databases(
    configured: Mapping[str, Configured], authority: str, stack: AsyncExitStack
) -> Databases:
    """Opens databases; imports no driver of an engine that none of them has.

    Args:
        configured: By id, those that are off too.
        authority: The id of the one that decides.
        stack: Closes them.

    Raises:
        ContractError, ValueError: As open_database.
    """
    opened = {
        database: await stack.enter_async_context(open_database(one.entry))
        for database, one in configured.items()
        if one.entry is not None
    }
    return Databases(opened, authority, configured)
