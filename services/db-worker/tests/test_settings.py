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


@pytest.mark.parametrize("scheme", ["postgresql", "mongodb"])
@pytest.mark.parametrize(
    "place",
    [
        "u:secret/x@h/db",
        "u:secret#x@h/db",
        "u:secret?x@h/db",
        "u:secret@x@h/db",
        "u:100%secret@h/db",
        "u:secret@h:port/db",
        "u:secret@h:99999/db",
        "u:secret@h:1,h:0/db",
    ],
)
def test_a_password_that_is_not_escaped_and_a_port_that_is_none_are_told_at_start(
    scheme: str, place: str
) -> None:
    field = {"postgresql": "database_url", "mongodb": "mongodb_url"}[scheme]
    given = {"database_url": SecretStr(POSTGRES), field: SecretStr(f"{scheme}://{place}")}
    (found,) = problems(**given)
    assert found.startswith(f"{field.upper()}: its port is no number, or its user or password")
    assert "secret" not in found


@pytest.mark.parametrize(
    "place",
    ["u:p%40%2F@h/db", "u:p@h1:1,h2:65535/db", "u:p@[::1]:5432/db", "u@%2Ftmp/db?user=a@b"],
)
def test_escaped_passwords_and_all_forms_of_hosts_are_taken(place: str) -> None:
    url = f"postgresql://{place}"
    assert DbSettings.load(database_url=SecretStr(url)).entries()[0].options == {"url": url}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database_url", "postgresql://u:p@h/db?sslmode=secret"),
        ("mongodb_url", "mongodb://u:se:cret@h/db"),
        ("cosmosdb_key", "secret?"),
        ("cosmosdb_key", "secr\u00e9t"),
        ("supabase_key", "secr\u00e9t"),
        ("supabase_key", "sec\nret"),
    ],
)
def test_what_no_driver_could_use_is_told_at_start(field: str, value: str) -> None:
    given: dict[str, object] = {
        "database_url": SecretStr(POSTGRES),
        "cosmosdb_url": SecretStr("https://c.example"),
        "supabase_url": SecretStr("https://s.example"),
        field: SecretStr(value),
    }
    store = field.partition("_")[0]
    (found,) = problems(**given, **({} if store == "database" else {f"enable_{store}": True}))
    assert found.startswith(f"{field.upper()}: ")
    assert value not in found


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
