"""The lint rule for migrations: what they make is named nexpo_*."""

from __future__ import annotations

import pytest

from nexpo_tools.generate import ROOT
from nexpo_tools.migration_rules import check_migrations, check_sql


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ("CREATE TABLE votes (id int)", "table votes"),
        ("create table if not exists public.votes (id int)", "table votes"),
        ('CREATE UNLOGGED TABLE "votes" (id int)', "table votes"),
        ("CREATE TABLE [dbo].[votes] (id int)", "table votes"),
        ("CREATE OR REPLACE VIEW results AS SELECT 1", "view results"),
        ("CREATE MATERIALIZED  VIEW results AS SELECT 1", "materialized view results"),
        ("CREATE FUNCTION count_them() RETURNS int", "function count_them"),
        ("CREATE SEQUENCE numbers", "sequence numbers"),
        ("CREATE UNIQUE INDEX by_name ON nexpo_users (name)", "index by_name"),
    ],
)
def test_another_name_is_found_with_its_line(made: str, what: str) -> None:
    (found,) = check_sql(f"-- Votes: CREATE TABLE comments\n\n{made};\n")

    assert found[0] == 3
    assert found[1].startswith(f"makes the {what}; name it nexpo_")


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE nexpo_votes (id int, CONSTRAINT nexpo_votes_id UNIQUE (id))",
        "CREATE TABLE IF NOT EXISTS public.nexpo_votes (id int)",
        "CREATE UNIQUE INDEX nexpo_by_name ON nexpo_users (name)",
        "-- CREATE TABLE votes\nSELECT 1",
        "ALTER TABLE nexpo_users ADD COLUMN created text",
    ],
)
def test_our_own_names_pass(made: str) -> None:
    assert list(check_sql(made)) == []


def test_the_migrations_of_the_workspace_keep_the_rule() -> None:
    assert check_migrations(ROOT) == []
    kinds = {file.parent.name for file in ROOT.glob("services/*/nexpo_*/*/migrations/*/*.sql")}
    assert kinds == {"postgres", "sqlserver", "supabase"}
