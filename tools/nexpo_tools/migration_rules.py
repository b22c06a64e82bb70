"""A lint rule of our own: what a migration makes has a name that says whose it is.

A database may be somebody else's too, and in a Supabase project everything named
nexpo_* is closed to the public roles by one rule. What has another name stays open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PREFIX = "nexpo_"

_COMMENT = re.compile(r"--[^\n]*")
_MADE = re.compile(
    r"\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:UNLOGGED\s+|RECURSIVE\s+|UNIQUE\s+|CLUSTERED\s+|NONCLUSTERED\s+)*"
    r"(?P<what>TABLE|MATERIALIZED\s+VIEW|VIEW|SEQUENCE|FUNCTION|PROCEDURE|INDEX|TYPE)\s+"
    r"(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>[\w.\"\[\]]+)",
    re.IGNORECASE,
)


def check_migrations(root: Path) -> list[str]:
    """Every finding in the SQL files of a workspace's migrations, with file and line."""
    files = sorted(root.glob("services/*/nexpo_*/**/migrations/**/*.sql"))
    return [
        f"{file.relative_to(root)}:{line}: {advice}"
        for file in files
        for line, advice in check_sql(file.read_text(encoding="utf-8"))
    ]


def check_sql(text: str) -> Iterator[tuple[int, str]]:
    """Line and advice of everything that is made under a name of another kind."""
    code = _COMMENT.sub(lambda comment: " " * len(comment[0]), text)
    for made in _MADE.finditer(code):
        name = made["name"].rpartition(".")[2].strip('"[]')
        if not name.startswith(PREFIX):
            what = " ".join(made["what"].lower().split())
            yield (
                code.count("\n", 0, made.start()) + 1,
                f"makes the {what} {name}; name it {PREFIX}{name}, or a Supabase project leaves it"
                " open to everybody",
            )
