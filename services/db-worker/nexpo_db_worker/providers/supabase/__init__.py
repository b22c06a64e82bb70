"""Supabase, over its REST API (PostgREST); no auth service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nexpo_db_worker.providers.supabase.project import Project
from nexpo_db_worker.providers.supabase.users import SupabaseUsers


@asynccontextmanager
async def open_supabase(
    url: str, key: str, database_url: str | None = None
) -> AsyncIterator[SupabaseUsers]:
    """Opens the store; the project is met, and its schema made, at the first call.

    Args:
        url: The project's URL.
        key: A service-role or secret key.
        database_url: The project's database, for migrations only; None when its
            schema is made by hand.
    """
    async with Project.open(url, key, database_url) as project:
        yield SupabaseUsers(project)
