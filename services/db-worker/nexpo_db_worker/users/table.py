"""The tables of users."""

from __future__ import annotations

from nexpo_db_worker.capabilities.table import Column, Table, Type
from nexpo_db_worker.claims import claims_table

USERS = Table(
    name="users",
    columns=(
        Column("user_id"),
        Column("email"),
        Column("display_name"),
        Column("state"),
        Column("profile", Type.JSON),
        Column("etag"),
        Column("create_time", Type.TIME),
        Column("update_time", Type.TIME),
        Column("databases"),
        Column("password_hash"),
    ),
    id="user_id",
    unique=("email",),
    etag="etag",
    order="create_time",
)

CLAIMS = claims_table("claims")
"""Who holds which e-mail address ("email:a@b"), or the lock of which user ("user:<id>")."""
