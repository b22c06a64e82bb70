"""A Supabase project, by its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backdoors import postgres
from nexpo_db_worker.engines.engine import DatabaseEntry


@contextmanager
def place(request: pytest.FixtureRequest) -> Iterator[DatabaseEntry]:
    project = request.getfixturevalue("supabase")
    options = {"url": project.url, "key": project.key, "database_url": project.database_url}
    yield DatabaseEntry("supabase", "supabase", options)


class BackDoor(postgres.BackDoor):
    """See BackDoor."""

    url_option = "database_url"
