"""A table as whoever owns it declares it; every engine keeps it in its own way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nexpo_runtime.errors import ContractError

_RESERVED = frozenset(
    {"id", "tenant", "key", "effect_key", "live", "tombstone", "tombstone_time", "removed_time"}
)
"""What engines add to a table: the fence, and the database's own id."""


class Type(StrEnum):
    """What a column holds; None, too, as far as the migration lets it."""

    TEXT = "text"
    """A str, kept to the last code point and compared by code points."""
    TIME = "time"
    """A datetime with a zone, kept to the microsecond."""
    JSON = "json"
    """A dict of plain JSON; numbers are doubles, of which whole ones may come back as int."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        name: Its name in the database; letters, digits and underscores.
        type: What it holds.
    """

    name: str
    type: Type = Type.TEXT


@dataclass(frozen=True)
class Table:
    """Rows of many tenants, each row with its fence.

    A tombstone has none of the columns: everything in a row counts as personal data.
    Tables and indexes are made by the migrations of each kind of engine, where an index or
    constraint is named after the table and the column that it makes unique.

    Attributes:
        name: Its name; an engine may put a prefix before it.
        columns: All columns.
        id: The text that identifies a live row among those of its tenant.
        unique: Further texts that no two live rows of a tenant share.
        etag: The text that changes with every change; "" where rows do not change.
        order: The time by which pages are ordered, before `id`; "" where there are none.

    Raises:
        ContractError: It contradicts itself.
    """

    name: str
    columns: tuple[Column, ...]
    id: str
    unique: tuple[str, ...] = ()
    etag: str = ""
    order: str = ""
    types: dict[str, Type] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        types = {column.name: column.type for column in self.columns}
        object.__setattr__(self, "types", types)
        texts = (self.id, *self.unique, *filter(None, [self.etag]))
        wrong = [name for name in texts if types.get(name) is not Type.TEXT]
        wrong += [name for name in filter(None, [self.order]) if types.get(name) is not Type.TIME]
        wrong += sorted(_RESERVED & types.keys())
        if wrong or len(types) != len(self.columns):
            raise ContractError(
                f"The table {self.name} needs other columns: {', '.join(wrong) or 'one is double'}."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that are unique among live rows; the row's id last."""
        return (*self.unique, self.id)
