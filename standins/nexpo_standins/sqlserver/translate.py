"""T-SQL to PostgreSQL: the statements that the stand-in knows, and an error for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from nexpo_standins.sqlserver.errors import SqlError, unknown


@dataclass(frozen=True, slots=True)
class Query:
    """A statement for PostgreSQL.

    Attributes:
        sql: With $1, $2, ... for its values.
        values: Names of those: "@p1" of the client, "@@trancount" of the session.
    """

    sql: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """BEGIN TRANSACTION."""


@dataclass(frozen=True, slots=True)
class Commit:
    """COMMIT TRANSACTION."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """ROLLBACK TRANSACTION."""


@dataclass(frozen=True, slots=True)
class SetOption:
    """SET of an option of the session; name and value in upper case."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Use:
    """USE of a database."""

    database: str


Statement: TypeAlias = Query | Begin | Commit | Rollback | SetOption | Use

SESSION_VALUES = {
    "@@trancount": "integer",
    "@@spid": "integer",
    "@@rowcount": "integer",
    "@@version": "text",
    "@@servername": "text",
}
_QUERIES = (exp.Select, exp.SetOperation, exp.Insert, exp.Update, exp.Delete, exp.Drop, exp.Alter)
_CREATED = {"TABLE", "INDEX", "SCHEMA"}
_TYPES = {
    "BIT": "SMALLINT",
    "INT": "INTEGER",
    "BIGINT": "BIGINT",
    "UUID": "UUID",
    "VARBINARY": "BYTEA",
    "DATETIME2": "TIMESTAMP(6)",
    "TIMESTAMPTZ": "TIMESTAMPTZ(6)",
}
_FUNCTIONS = {
    "SYSUTCDATETIME": "(clock_timestamp() AT TIME ZONE 'UTC')",
    "GETUTCDATE": "(clock_timestamp() AT TIME ZONE 'UTC')",
    "SYSDATETIMEOFFSET": "clock_timestamp()",
    "SCOPE_IDENTITY": "lastval()",
}
_HINTS_WITHOUT_EFFECT = {"ROWLOCK", "PAGLOCK", "NOLOCK", "READCOMMITTED"}
_INDEX_KINDS = re.compile(r"^(?:NON)?CLUSTERED\s+", re.IGNORECASE)


@lru_cache(maxsize=1024)
def translate(sql: str, parameters: tuple[tuple[str, str], ...]) -> tuple[Statement, ...]:
    """The statements of a batch.

    Args:
        sql: T-SQL.
        parameters: Name and PostgreSQL type of each parameter that came with it.

    Raises:
        SqlError: 102 for what cannot be read or is not known; 137 for a parameter
            that did not come.
    """
    try:
        parsed = sqlglot.parse(sql, read="tsql")
    except SqlglotError as error:
        near = re.sub(r"\x1b\[\d+m", "", str(error).partition("\n")[0])
        raise SqlError(102, f"Incorrect syntax, as far as sqlglot knows: {near}", 15) from None
    types = dict(parameters) | SESSION_VALUES
    return tuple(_statement(tree, types) for tree in parsed if isinstance(tree, exp.Expression))


def _statement(tree: exp.Expression, types: dict[str, str]) -> Statement:
    match tree:
        case exp.Transaction():
            return Begin()
        case exp.Commit():
            return Commit()
        case exp.Rollback():
            return Rollback()
        case exp.Set():
            return _set_option(tree)
        case exp.Use():
            return Use(tree.this.name)
        case exp.Execute():
            raise SqlError(2812, f"Could not find stored procedure '{tree.this.name}'.")
    if isinstance(tree, exp.Create):
        kind = _INDEX_KINDS.sub("", str(tree.args.get("kind") or "")).upper()
        if kind not in _CREATED:
            raise unknown(f"CREATE {kind}")
        tree.set("kind", kind)
    elif not isinstance(tree, _QUERIES):
        word = tree.name if isinstance(tree, exp.Command) else tree.key.removesuffix("block")
        raise unknown(f"the statement {word.upper()}")
    return _query(tree, types)


def _set_option(tree: exp.Set) -> SetOption:
    text = tree.sql(dialect="tsql").upper().removeprefix("SET ")
    if level := re.fullmatch(r"TRANSACTION ISOLATION LEVEL (.+)", text):
        return SetOption("TRANSACTION ISOLATION LEVEL", level[1])
    name, _, value = text.replace("=", " ").partition(" ")
    return SetOption(name.strip("[]"), value.strip())


def _query(tree: exp.Expression, types: dict[str, str]) -> Query:
    values: list[str] = []
    _lock_rows(tree)
    tree = tree.transform(_without_national).transform(_placeholders(types, values))
    tree = tree.transform(_postgres_names)
    return Query(tree.sql(dialect="postgres"), tuple(values))


def _lock_rows(tree: exp.Expression) -> None:
    """UPDLOCK and XLOCK become FOR UPDATE; a range cannot be locked."""
    hints = {
        hint.name.upper()
        for found in tree.find_all(exp.WithTableHint)
        for hint in found.expressions
    }
    rows = hints & {"UPDLOCK", "XLOCK"}
    if others := hints - rows - _HINTS_WITHOUT_EFFECT:
        raise unknown(f"the table hint {min(others)}")
    if rows and isinstance(tree, exp.Select):
        tree.lock(copy=False)


def _without_national(node: exp.Expression) -> exp.Expression:
    # N'x' would be bpchar in PostgreSQL, which ignores spaces at the end.
    return exp.Literal.string(node.this) if isinstance(node, exp.National) else node


def _placeholders(
    types: dict[str, str], values: list[str]
) -> Callable[[exp.Expression], exp.Expression]:
    """Puts CAST($n AS type) for each parameter, and notes its name as the n-th value."""

    def replaced(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Parameter):
            return node
        session_wide = isinstance(node.this, exp.Parameter)
        name = ("@@" if session_wide else "@") + node.this.name.lower()
        if name not in types:
            raise SqlError(137, f'Must declare the scalar variable "{name}".', 15)
        if name not in values:
            values.append(name)
        return _raw(f"CAST(${values.index(name) + 1} AS {types[name]})")

    return replaced


def _raw(sql: str) -> exp.Expression:
    """An expression that the generator leaves as it stands."""
    return exp.Var(this=sql)


def _postgres_names(node: exp.Expression) -> exp.Expression:
    match node:
        case exp.Identifier():
            return exp.to_identifier(node.name.lower(), quoted=True)
        case exp.DataType():
            return exp.DataType.build(_type_name(node), dialect="postgres")
        case exp.CollateColumnConstraint():
            node.set("this", _raw(_collation(node.this.name)))
        case exp.Collate():
            node.set("expression", _raw(_collation(node.expression.name)))
        case exp.Column() if node.table.upper() in ("INSERTED", "DELETED"):
            node.set(
                "table", exp.to_identifier("new" if node.table.upper() == "INSERTED" else "old")
            )
        case exp.Anonymous() if node.name.upper() in _FUNCTIONS:
            return _raw(_FUNCTIONS[node.name.upper()])
        case exp.CurrentTimestampLTZ():
            return _raw(_FUNCTIONS["SYSDATETIMEOFFSET"])
    return node


def _type_name(node: exp.DataType) -> str:
    name = node.this.value
    size = node.expressions[0].name.upper() if node.expressions else ""
    if name in ("NVARCHAR", "VARCHAR"):
        return "TEXT" if size == "MAX" else f"VARCHAR({size or 1})"
    if name not in _TYPES:
        raise unknown(f"the type {node.sql(dialect='tsql')}")
    return _TYPES[name]


def _collation(name: str) -> str:
    if not re.search(r"_BIN2?$", name, re.IGNORECASE):
        raise unknown(f"the collation {name}; only binary ones")
    return '"C"'
