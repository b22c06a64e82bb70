"""The settings name everything that is wrong at once, and no secret."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from nexpo_db_worker.settings import DbSettings
from nexpo_runtime.settings import SettingsError

POSTGRES = "postgresql://u:p@127.0.0.1:5432/db"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in DbSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)


def problems(**overrides: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        DbSettings.load(**overrides)
    return caught.value.problems


def test_a_database_url_is_all_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)
    settings = DbSettings.load()
    assert settings.authority_store == "postgres"
    (entry,) = settings.entries()
    assert (entry.id, entry.kind, entry.options) == ("postgres", "postgres", {"url": POSTGRES})
    assert "u:p" not in f"{settings!r} {entry!r}"


def test_every_missing_variable_of_every_store_is_listed() -> None:
    found = problems(
        enable_mongodb=True, enable_cosmosdb=True, enable_sqlserver=True, enable_supabase=True
    )
    assert [problem.split(":")[0] for problem in found] == [
        "COSMOSDB_URL",
        "COSMOSDB_KEY",
        "MONGODB_URL",
        "DATABASE_URL",
        "SQLSERVER_URL",
        "SUPABASE_URL",
        "SUPABASE_KEY",
    ]


def test_the_authority_must_be_switched_on() -> None:
    found = problems(authority_store="mongodb", database_url=SecretStr(POSTGRES))
    assert len(found) == 1
    assert found[0].startswith("AUTHORITY_STORE: mongodb decides, but ENABLE_MONGODB is false")


def test_an_authority_that_does_not_exist_is_refused() -> None:
    assert problems(authority_store="oracle", database_url=SecretStr(POSTGRES))[0].startswith(
        "AUTHORITY_STORE:"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database_url", "mysql://secret@h/db"),
        ("database_url", "secret"),
        ("mongodb_url", "http://secret"),
        ("sqlserver_url", "postgresql://secret@h/db"),
        ("supabase_url", "secret.example.com"),
        ("supabase_url", "http://[secret"),
    ],
)
def test_a_wrong_url_is_named_but_not_shown(field: str, value: str) -> None:
    overrides = {"database_url": SecretStr(POSTGRES), field: SecretStr(value)}
    found = problems(**overrides)
    assert len(found) == 1
    assert found[0].startswith(f"{field.upper()}: not a URL of the form")
    assert "secret" not in found[0]


def test_a_key_in_clear_text_is_refused_in_production() -> None:
    found = problems(
        environment="production",
        service_token=SecretStr("t" * 32),
        service_key=SecretStr("k" * 32),
        enable_temporal=False,
        database_url=SecretStr("postgresql://u:p@db.example.com/db"),
        enable_supabase=True,
        supabase_url=SecretStr("http://project.example.com"),
        supabase_key=SecretStr("key"),
    )
    assert [problem.partition(":")[0] for problem in found] == ["DATABASE_URL", "SUPABASE_URL"]


@pytest.mark.parametrize(
    ("field", "url"),
    [
        ("sqlserver_url", "mssql://u:secret@h/db?Encrypt=perhaps"),
        ("sqlserver_url", "mssql://u:secret@h/db?TrustServerCertificate=true&Encrypt=strict"),
        ("sqlserver_url", "mssql://u:secret@h/db?Certificate=/does/not/exist.pem"),
        ("mongodb_url", "mongodb://u:secret@h/db?tls=true&tlsCAFile=/does/not/exist.pem"),
        (
            "supabase_database_url",
            "postgresql://u:secret@h/db?sslmode=verify-full&sslrootcert=/does/not/exist.pem",
        ),
        ("supabase_database_url", "postgresql://u:secret@h/db?sslmode=verify-full"),
    ],
)
def test_options_with_which_nobody_could_connect_are_told_at_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, field: str, url: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    store = field.partition("_")[0]
    given: dict[str, object] = {"database_url": SecretStr(POSTGRES), field: SecretStr(url)}
    DbSettings.load(**given)  # a store that is switched off is not connected to
    if store == "supabase":
        given |= {"supabase_url": SecretStr("https://p.example"), "supabase_key": SecretStr("k")}
    found = problems(**given, **{f"enable_{store}": True})
    assert len(found) == 1
    assert found[0].startswith(f"{field.upper()}: ")
    assert "secret" not in found[0]


def test_a_fence_is_kept_for_days_and_looked_for_by_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)
    assert DbSettings.load().tombstone_retention == timedelta(days=7)
    monkeypatch.setenv("TOMBSTONE_RETENTION_DAYS", "2.5")
    assert DbSettings.load().tombstone_retention == timedelta(hours=60)
