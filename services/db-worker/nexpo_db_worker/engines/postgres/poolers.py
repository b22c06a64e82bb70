"""Poolers that hand a session's connection to others between its transactions.

The driver prepares statements and sets time-outs for its session; PgBouncer and
Supavisor in transaction mode keep neither. What comes back looks like anything
but its cause, so the cause is named here.
"""

from __future__ import annotations

import asyncpg

MEND = (
    "a pooler in transaction mode answers in place of the database, and the service needs "
    "sessions: give DATABASE_URL, or SUPABASE_DATABASE_URL, the database's own address, or that "
    "of the pooler in session mode; in PgBouncer also ignore_startup_parameters = "
    "statement_timeout, idle_in_transaction_session_timeout"
)

_LOST_STATEMENTS = ("26000", "42P05")
"""No such prepared statement, or one of that name is there already: another session's."""

_PROTOCOL = "08P01"


def shows_pooler(error: asyncpg.PostgresError) -> bool:
    """Whether only a pooler in between explains the error."""
    if error.sqlstate in _LOST_STATEMENTS:
        return True
    # PostgreSQL itself knows every parameter that the service sets.
    return error.sqlstate == _PROTOCOL and "startup parameter" in str(error)
