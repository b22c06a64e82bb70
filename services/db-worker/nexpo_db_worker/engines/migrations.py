"""Migrations: files that lie with the capability whose tables they make, one folder a kind.

`<capability>/migrations/<kind>/0001_name.sql` runs on databases of that kind and on no other.
A line `\\ir ../<other kind>/0001_name.sql`, which psql knows too, says that a file takes over
another kind's, as Supabase's do with PostgreSQL's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nexpo_runtime.errors import ContractError

STEP_S = 3600.0
"""Seconds that one migration may take: an index over a large table takes far longer than a call.
It is not without end, for a server may vanish in the midst."""

_PACKAGE = Path(__file__).parents[1]
_NAME = re.compile(r"[0-9]{4}_[a-z0-9_]+\.(sql|json)")
_INCLUDE = re.compile(r"^\\ir[ \t]+(\S+)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """A step of a database's schema.

    Attributes:
        name: The file's name; a database records it when the step is done.
        text: What the file holds, in the form of its kind.
    """

    name: str
    text: str


def migrations_of(kind: str, root: Path = _PACKAGE) -> tuple[Migration, ...]:
    """The migrations of all capabilities for one kind of database, by name.

    Args:
        kind: The engine's.
        root: The folder that holds the capabilities' folders.

    Raises:
        ContractError: Two have one name, and a database would take one for the other; or one
            has a name by which it would never run, or not where its number says.
    """
    found = root.glob(f"*/migrations/{kind}/*")
    files = sorted((file for file in found if _is_ours(file)), key=lambda file: file.name)
    double = [name for name, count in Counter(file.name for file in files).items() if count > 1]
    if double:
        raise ContractError(f"Two migrations for {kind} are called {double[0]}; rename the newer.")
    return tuple(Migration(file.name, _text(file)) for file in files)


def missing(migrations: Sequence[Migration], applied: Collection[str]) -> list[Migration]:
    """Those that a database has not recorded, in order."""
    return [migration for migration in migrations if migration.name not in applied]


@contextmanager
def running(step: Migration) -> Iterator[None]:
    """Notes the migration in whatever it raises: the log of the fault says which one it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in migration {step.name}")
        raise


def _is_ours(file: Path) -> bool:
    if _NAME.fullmatch(file.name):
        return True
    if file.name == "README.md" or file.name.startswith("."):
        return False
    raise ContractError(f"{file}: no migration is called so: name it NNNN_name.sql or .json")


def _text(file: Path) -> str:
    text = file.read_text(encoding="utf-8-sig")  # no database takes the mark of Windows' editors
    return _INCLUDE.sub(lambda line: _text(file.parent / line[1]), text)
