"""Migrations on every kind of engine: what fails is named, and ends well once it is mended."""

from __future__ import annotations

import logging

import pytest
from calls import reason_of
from samples import sample_migrations

from nexpo_db_worker.databases.opened import open_database
from nexpo_db_worker.engines.engine import DatabaseEntry
from nexpo_db_worker.engines.migrations import Migration

_REFUSED = {
    "mongodb": '{"samples": [{"name": "samples_key", "fields": ["SECRET"]}]}',
    "cosmosdb": '{"samples": {"unique": ["/SECRET"], "indexed": []}}',
}
"""Other indexes than are there."""


async def test_a_migration_that_fails_is_named_in_the_log_without_its_text(
    entry: DatabaseEntry, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = Migration("0900_wrong", _REFUSED.get(entry.kind, "SECRET;"))
    own = DatabaseEntry(f"wrong-{entry.kind}", entry.kind, entry.options)
    async with open_database(own, (*sample_migrations(entry.kind), wrong)) as database:
        with caplog.at_level(logging.WARNING):
            assert await reason_of(database.ping()) == "STORE_REFUSED"
        assert "in migration 0900_wrong" in caplog.text
        assert "SECRET" not in caplog.text
    async with open_database(entry, sample_migrations(entry.kind)) as database:
        await database.ping()
