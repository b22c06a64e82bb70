"""A table of these tests' own, which every engine must keep as Fences and Records say."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nexpo_db_worker.capabilities.table import Column, Table, Type
from nexpo_db_worker.claims import claims_table
from nexpo_db_worker.engines.migrations import Migration, migrations_of

SAMPLES = Table(
    name="samples",
    columns=(
        Column("name"),
        Column("label"),
        Column("note"),
        Column("body", Type.JSON),
        Column("version"),
        Column("born", Type.TIME),
        Column("seen", Type.TIME),
    ),
    id="name",
    unique=("label",),
    etag="version",
    order="born",
)
SAMPLE_CLAIMS = claims_table("sample_claims")

BORN = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)

Values = dict[str, Any]


def sample_migrations(kind: str) -> tuple[Migration, ...]:
    """What makes the tables on a kind of engine."""
    return migrations_of(kind, Path(__file__).parents[1])


def new_sample(label: str = "", born: datetime = BORN, note: str = "Ada Byron") -> Values:
    name = str(uuid.uuid4())
    return {
        "name": name,
        "label": label or f"{name}@example.com",
        "note": note,
        "body": {"locale": "de-CH", "zone": "Europe/Zurich", "list": [1.5, None, True]},
        "version": uuid.uuid4().hex,
        "born": born,
        "seen": born + timedelta(microseconds=1),
    }


def changed(sample: Values, note: str) -> Values:
    return {
        **sample,
        "note": note,
        "version": uuid.uuid4().hex,
        "seen": BORN + timedelta(minutes=5),
    }
