"""What a query is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nexpo_standins.cosmosdb.catalog import Path

AGGREGATE = "COUNT"
FUNCTIONS = {"IS_DEFINED": 1, "IS_NULL": 1, "STARTSWITH": 2, "CONTAINS": 2, "ARRAY_CONTAINS": 2}


@dataclass(frozen=True)
class Constant:
    """A literal, or a parameter's value; UNDEFINED too."""

    value: object


@dataclass(frozen=True)
class Property:
    """A path below the item: c.a.b; () is the item itself."""

    path: Path


@dataclass(frozen=True)
class Call:
    """A function of FUNCTIONS."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Not:
    """NOT operand."""

    operand: Expression


@dataclass(frozen=True)
class Logic:
    """AND or OR of two or more operands: flat, since the SDK writes chains of thousands."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Comparison:
    """A comparison of two operands."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class In:
    """operand IN (choices)."""

    operand: Expression
    choices: tuple[Expression, ...]


Expression: TypeAlias = Constant | Property | Call | Not | Logic | Comparison | In


@dataclass(frozen=True)
class Order:
    """One key of ORDER BY."""

    path: Path
    descending: bool


@dataclass(frozen=True)
class Query:
    """A query with its parameters filled in.

    Attributes:
        columns: Name and expression of each; empty for `SELECT *`.
        value: The expression of SELECT VALUE.
        count: SELECT VALUE COUNT(1).
        limit: Of TOP or LIMIT.
    """

    columns: tuple[tuple[str, Expression], ...]
    value: Expression | None
    count: bool
    where: Expression | None
    order: tuple[Order, ...]
    offset: int
    limit: int | None

    @property
    def needs_plan(self) -> bool:
        """Whether the service runs it over several partitions by a query plan only."""
        return bool(self.order or self.offset or self.limit is not None or self.count)
