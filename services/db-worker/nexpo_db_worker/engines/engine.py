"""What an engine declares of itself, and what it opens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

from nexpo_db_worker.capabilities import Capability
from nexpo_db_worker.capabilities.fences import Fences
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.capabilities.records import Records
from nexpo_db_worker.capabilities.table import Table
from nexpo_db_worker.engines.migrations import Migration
from nexpo_db_worker.engines.urls import misread
from nexpo_runtime.transport import Outside


@dataclass(frozen=True, slots=True)
class DatabaseEntry:
    """A database to open.

    Attributes:
        id: What everything calls it; one of its own for each database.
        kind: The engine's.
        options: What the engine needs to reach it, by the names of its options.
    """

    id: str
    kind: str
    options: Mapping[str, str]

    def __repr__(self) -> str:
        return f"DatabaseEntry(id={self.id!r}, kind={self.kind!r})"  # options hold secrets


@dataclass(frozen=True, slots=True)
class Option:
    """Something that an engine must or may know to reach a database.

    Attributes:
        name: Its name in DatabaseEntry.options.
        variable: The environment variable that has it, for the database whose id is the kind.
        required: Whether there is no database without it.
        secret: Whether it may not be written into a file of settings as it is.
        outside: Where it leads, and who could read along.
        schemes: Those of its URL; empty for what is none.
        problem: What is wrong with a value of the right form, so that no connection could be
            made; or nothing. The drivers would say so at the first connection, and each in
            words of its own.
    """

    name: str
    variable: str
    required: bool = True
    secret: bool = True
    outside: Outside | None = None
    schemes: tuple[str, ...] = ()
    problem: Callable[[str], str] = lambda _: ""

    def malformed(self, value: str) -> str:
        """What is wrong with the form of a value, without the value; or nothing."""
        if not value or not self.schemes:
            return ""
        try:
            parts = urlsplit(value)
            good = parts.scheme in self.schemes and bool(parts.netloc)
        except ValueError:
            good = False
        if not good:
            forms = " or ".join(f"{scheme}://" for scheme in self.schemes)
            return f"not a URL of the form {forms}...; correct it"
        if misread(value):
            return (
                "its port is no number, or its user or password is not escaped; write"
                " / : @ ? # % in them as %2F %3A %40 %3F %23 %25"
            )
        return ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that is open, and what it offers; it may be away now and then.

    Attributes:
        ping: Answers when the database does.
        version: Its own version, as it tells it; "" where it tells none.
        fences: See Capability.FENCES; None where the engine lacks it, as everywhere here.
        records: See Capability.RECORDS.
    """

    ping: Callable[[], Awaitable[None]]
    version: Callable[[], Awaitable[str]]
    fences: Callable[[Table], Fences] | None = None
    records: Callable[[Table], Records] | None = None

    def capabilities(self) -> Iterator[Capability]:
        """Those that it offers."""
        return (one for one in Capability if getattr(self, one.value) is not None)


@dataclass(frozen=True, slots=True)
class Engine:
    """A kind of database.

    Attributes:
        kind: Its name in entries and in paths of migrations; that of its folder.
        title: Its name for people.
        capabilities: What it can be asked for.
        options: What must be known of a database.
        open: Opens a database without reaching it: it is met, and migrated, at the first
            call. The migrations are those for this kind, in order.
    """

    kind: str
    title: str
    capabilities: frozenset[Capability]
    options: tuple[Option, ...]
    open: Callable[
        [DatabaseEntry, Origin, Sequence[Migration]], AbstractAsyncContextManager[Opened]
    ]
