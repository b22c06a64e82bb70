"""Reads cases.txt; its head explains it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

FILE = Path(__file__).with_name("cases.txt")
SURFACES = ("grpc", "rest", "cli")


@dataclass(frozen=True)
class Line:
    """One call and what is wanted of it."""

    number: int
    call: str
    headers: dict[str, str]
    wanted: str
    input: str


@dataclass(frozen=True)
class Case:
    """Calls, one after another, on each of its surfaces."""

    name: str
    surfaces: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """The cases, and by method the text of what each request starts from."""

    cases: list[Case]
    bases: dict[str, str]


def read(text: str = "") -> Table:
    """The file's table, or a text's. Raises: ValueError, with the line."""
    cases: list[Case] = []
    bases: dict[str, str] = {}
    for number, row in enumerate((text or FILE.read_text(encoding="utf-8")).splitlines(), 1):
        if not row.strip() or row.startswith("#"):
            continue
        if row.startswith("base "):
            _, method, base = row.split(" ", 2)
            bases[method] = base
            continue
        columns = [column.strip() for column in row.split(" | ", 4)]
        if len(columns) != 5:
            raise ValueError(f"line {number}: five columns are needed, not {len(columns)}")
        name, call, names, wanted, given = columns
        surfaces = SURFACES if names == "all" else tuple(names.split())
        if not surfaces or set(surfaces) - set(SURFACES):
            raise ValueError(f"line {number}: there are grpc, rest and cli, or all; not {names}")
        line = Line(number, *_headers(call), wanted, given)
        if name != "...":
            cases.append(Case(name, surfaces, (line,)))
        elif not cases or cases[-1].surfaces != surfaces:
            raise ValueError(f"line {number}: goes on with the case above, on the same surfaces")
        else:
            cases[-1] = Case(cases[-1].name, surfaces, (*cases[-1].lines, line))
    return Table(cases, bases)


def _headers(call: str) -> tuple[str, dict[str, str]]:
    call, *headers = call.split(" @")
    pairs = (header.partition("=") for header in headers)
    return call, {name: unquote(value) for name, _, value in pairs}
