"""DATABASES_FILE: any number of databases of any kind, and every mistake by its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexpo_db_worker.settings import DbSettings
from nexpo_runtime.settings import SettingsError

POSTGRES = "postgresql://u:secret@127.0.0.1:5432/db"
LONG = "e" * 64
TWO = """
[databases.eu]
kind = "postgres"
url = { env = "EU_URL" }

[databases.us]
kind = "postgres"
url = { file = "US_FILE" }

[databases.archive]
kind = "cosmosdb"
url = "https://archive.example.com"
key = { env = "ARCHIVE_KEY" }
enabled = false
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in DbSettings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)
    monkeypatch.setenv("EU_URL", POSTGRES)
    (tmp_path / "us").write_text(f"{POSTGRES}-us\n")


def loaded(tmp_path: Path, text: str, **more: object) -> DbSettings:
    file = tmp_path / "databases.toml"
    file.write_text(text.replace("US_FILE", str(tmp_path / "us")))
    return DbSettings.load(**{"databases_file": file, "authority_store": "eu", **more})


def problems(tmp_path: Path, text: str, **more: object) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        loaded(tmp_path, text, **more)
    return [problem.removeprefix("DATABASES_FILE: ") for problem in refused.value.problems]


def test_two_of_a_kind_are_two_databases_and_one_that_is_off_stays_known(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TWO)

    assert [(entry.id, entry.kind, entry.options) for entry in settings.entries()] == [
        ("eu", "postgres", {"url": POSTGRES}),
        ("us", "postgres", {"url": f"{POSTGRES}-us"}),
    ]
    assert settings.states() == {
        "eu": "on",
        "us": "on",
        "archive": "off: databases.archive.enabled is false",
    }
    assert "secret" not in f"{settings!r} {settings.configured!r}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[databases.eu]", "[databases.EU]", "databases.EU: must be 1 to 63 of a-z"),
        ("[databases.eu]", "[databases.eu_1]", "databases.eu_1: must be 1 to 63 of a-z"),
        ("[databases.eu]", f"[databases.{LONG}]", f"databases.{LONG}: must be 1 to 63 of a-z"),
        ('kind = "postgres"', 'kind = "oracle"', "databases.eu.kind: must be one of cosmosdb, mon"),
        ('{ env = "EU_URL" }', '{ env = "NOBODY" }', "databases.eu.url: the environment has no NO"),
        ('{ env = "EU_URL" }', f'"{POSTGRES}"', "databases.eu.url: must be written as url = { env"),
        ('{ env = "EU_URL" }', '{ env = "EU_URL", file = "x" }', "databases.eu.url: must be writ"),
        ('url = { env = "EU_URL" }', "", "databases.eu.url: is missing; write url = { env = "),
        ("US_FILE", "/nowhere/url", "databases.us.url: the file cannot be read: No such file"),
        ("[databases.us]", "[databases.us]\nhost = 1", "databases.us.host: is no option of post"),
        ("enabled = false", 'enabled = "no"', "databases.archive.enabled: must be true or false"),
        ("[databases.eu]", "[database.eu]", "database: is not known; write [databases.id]"),
        ("[databases.eu]", "[databases.eu", "is not TOML:"),
        (TWO, "", "databases: names no database; write [databases.id] for each"),
        (TWO, "databases = 1", "databases: names no database"),
        (TWO, "[databases]\neu = 1", "databases.eu: must be a table; write [databases.eu]"),
        ("US_FILE", r"a\u0000b", "databases.us.url: no file can have that path"),
        ('{ file = "US_FILE" }', '{ env = "EU_URL" }', "databases.us: is databases.eu once more"),
    ],
)
def test_what_is_wrong_is_told_by_its_place_and_without_its_value(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    assert old in TWO

    found = problems(tmp_path, TWO.replace(old, new, 1))

    assert any(problem.startswith(said) for problem in found), found
    assert not any("secret" in problem for problem in found)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_marks_and_line_breaks_of_editors_and_shells_are_no_part_of_a_value(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EU_URL", f"{POSTGRES}{ending}")
    (tmp_path / "us").write_bytes(f"\ufeff{POSTGRES}-us{ending}".encode())

    settings = loaded(tmp_path, "\ufeff" + TWO.replace("\n", ending))

    assert [entry.options["url"] for entry in settings.entries()] == [POSTGRES, f"{POSTGRES}-us"]


def test_a_secret_behind_symbolic_links_beside_the_file_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As Kubernetes mounts secrets: us -> ..data/us, and ..data -> a folder of the moment.
    (tmp_path / "..2026").mkdir()
    (tmp_path / "us").rename(tmp_path / "..2026" / "us")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "us").symlink_to("..data/us")
    monkeypatch.chdir("/")

    settings = loaded(tmp_path, TWO.replace("US_FILE", "us"))

    assert settings.entries()[1].options == {"url": f"{POSTGRES}-us"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:secret@h/db", "not a URL of the form postgresql://"),
        (
            f"{POSTGRES}?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "there is no such file as its",
        ),
    ],
)
def test_a_secret_with_which_nobody_could_connect_is_not_shown(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EU_URL", url)

    (problem,) = problems(tmp_path, TWO)

    assert problem.startswith(f"databases.eu.url: {said}")
    assert "secret" not in problem


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n", "the file is empty; write the value into it"),
        (b"\xff", "the file is not UTF-8; write the value alone into it"),
    ],
)
def test_a_file_that_holds_no_secret_is_told(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "us").write_bytes(content)

    assert problems(tmp_path, TWO) == [f"databases.us.url: {said}"]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = TWO.replace('{ env = "EU_URL" }', "1").replace("[databases.us]", "[databases.us]\nx = 1")

    assert [problem.partition(":")[0] for problem in problems(tmp_path, text)] == [
        "databases.eu.url",
        "databases.us.x",
    ]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        DbSettings.load(databases_file=tmp_path / "none.toml")

    assert "DATABASES_FILE: cannot be read: No such file or directory" in str(refused.value)


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "databases.toml").write_text(TWO, encoding="utf-16")

    with pytest.raises(SettingsError) as refused:
        DbSettings.load(databases_file=tmp_path / "databases.toml")

    assert "DATABASES_FILE: is not UTF-8; write it as TOML in UTF-8" in str(refused.value)


def test_variables_of_databases_beside_the_file_are_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, TWO, database_url=POSTGRES, enable_mongodb=True)

    assert found == [
        "DATABASE_URL: set beside DATABASES_FILE; move it into the file",
        "ENABLE_MONGODB: set beside DATABASES_FILE; move it into the file",
    ]


@pytest.mark.parametrize(
    ("authority", "said"),
    [
        ("mars", "AUTHORITY_STORE: no database has this id; name one of eu, us, archive"),
        ("archive", "AUTHORITY_STORE: archive decides, but databases.archive.enabled is false"),
    ],
)
def test_the_authority_is_one_that_is_on(authority: str, said: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, TWO, authority_store=authority)

    assert problem.startswith(said)


SUPABASE = """
[databases.eu]
kind = "supabase"
url = "https://project.example.com"
key = { env = "SUPABASE_SECRET" }
database_url = { env = "EU_URL" }
"""


@pytest.mark.parametrize(("text", "option"), [(TWO, "url"), (SUPABASE, "database_url")])
def test_production_refuses_clear_text_to_a_database_of_the_file(
    text: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EU_URL", "postgresql://u:secret@db.example.com/db")
    monkeypatch.setenv("SUPABASE_SECRET", "key")
    said = f"databases.eu.{option}: sslmode=prefer allows clear text"

    found = problems(tmp_path, text, environment="production")
    assert any(problem.startswith(said) for problem in found)
    more = {"environment": "production", "allow_insecure": f"databases.eu.{option}"}
    allowed = problems(tmp_path, text, **more)
    assert not any(problem.startswith(said) for problem in allowed)
