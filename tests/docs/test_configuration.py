"""The pages name every variable that a service reads, with its default, and no other."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

import pytest
from pydantic import AliasChoices, SecretStr

from nexpo_ai_worker.settings import AiSettings
from nexpo_cloud_worker.settings import CloudSettings
from nexpo_db_worker.settings import DbSettings
from nexpo_gateway.settings import GatewaySettings
from nexpo_runtime.settings import Settings

from .markdown import ROOT, rows

PAGE = Path("docs/guides/configuration.md")
SERVICES: dict[str, type[Settings]] = {
    "Gateway": GatewaySettings,
    "db-worker": DbSettings,
    "cloud-worker": CloudSettings,
    "ai-worker": AiSettings,
}
_NAME = re.compile(r"`([A-Z][A-Z0-9_]+)`")
_LINE = re.compile(r"^#? ?([A-Z][A-Z0-9_]+)=(.*)$")


def _names(settings: type[Settings], field: str) -> set[str]:
    alias = settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return {str(choice).upper() for choice in alias.choices}
    return {field.upper()}


def _shown(value: object) -> str:
    """A default as the page shows it."""
    match value:
        case None | "" | ():
            return "-"
        case bool():
            return f"`{str(value).lower()}`"
        case SecretStr():
            return f"`{value.get_secret_value()}`"
        case Enum():
            return f"`{value.value}`"
        case tuple():
            return f"`{','.join(value)}`"
        case _:
            return f"`{value}`"


def _expected(settings: type[Settings]) -> dict[str, str]:
    """Default by variable: of the base all, of a service what it adds or changes."""
    base = Settings.model_fields
    return {
        name: _shown(info.default if not isinstance(info.default, float) else float(info.default))
        for field, info in settings.model_fields.items()
        if settings is Settings or field not in base or base[field].default != info.default
        for name in _names(settings, field)
    }


def _documented(heading: str) -> dict[str, str]:
    return {name: row[1] for row in rows(PAGE, heading) for name in _NAME.findall(row[0])}


def _numbers(defaults: dict[str, str]) -> dict[str, str]:
    """500 and 500.0 are one number."""
    return {
        name: f"`{float(shown.strip('`'))}`" if re.fullmatch(r"`[\d.]+`", shown) else shown
        for name, shown in defaults.items()
    }


@pytest.mark.parametrize("heading", ["Every service", *SERVICES])
def test_the_page_has_every_variable_with_its_default(heading: str) -> None:
    settings = SERVICES.get(heading, Settings)
    assert _numbers(_documented(heading)) == _numbers(_expected(settings))


def _every_variable() -> set[str]:
    all_settings: list[type[Settings]] = [Settings, *SERVICES.values()]
    return {
        name
        for settings in all_settings
        for field in settings.model_fields
        for name in _names(settings, field)
    }


def _example() -> list[tuple[str, str]]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return [(match[1], match[2]) for line in lines if (match := _LINE.match(line))]


def test_the_example_has_every_variable_once() -> None:
    names = [name for name, _ in _example()]
    assert sorted(names) == sorted(_every_variable())


def test_the_example_shows_the_defaults() -> None:
    shown = {name: f"`{value.strip(chr(34))}`" if value else "-" for name, value in _example()}
    own = {name: value for one in SERVICES.values() for name, value in _expected(one).items()}
    # Where a service has another default than the others, the example shows the common one.
    assert _numbers(shown) == _numbers({**own, **_expected(Settings)})


def test_the_example_with_its_values_is_a_shell_script(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text()
    set_all = re.sub(r"^# (?=[A-Z][A-Z0-9_]+=)", "", text, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(set_all)
    done = subprocess.run(
        ["sh", "-ec", 'set -a; . ./.env; echo "$MAIL_FROM"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert (done.returncode, done.stdout) == (0, "Nexpo <no-reply@localhost>\n"), done.stderr


def test_the_page_has_the_variables_of_the_command_line() -> None:
    shown = subprocess.run(
        [Path(sys.prefix) / "bin/nexpo", "--help"], capture_output=True, text=True, timeout=60
    ).stdout
    asked = set(re.findall(r"\bNEXPO_[A-Z_]+", shown)) | _read_in([ROOT / "clients/cli/nexpo_cli"])
    assert asked >= {"NEXPO_ADDRESS", "NEXPO_API_KEY", "NEXPO_OUTPUT"}
    assert set(_documented("CLI")) == asked - {"XDG_CONFIG_HOME", "GRPC_VERBOSITY"}


def test_the_page_has_the_variables_of_tests_and_demo() -> None:
    found = _read_in([ROOT / "dev", ROOT / "standins", ROOT / "tests", ROOT / "conftest.py"])
    names = {name for row in rows(PAGE, "Tests and demo") for name in _NAME.findall(row[0])}
    # What one process of the embedded stack tells another is nobody's to set.
    assert names == {name for name in found if name.startswith(("TEST_", "DEMO_", "SIM"))} | {
        "NEXPO_CACHE"
    }


def _read_in(places: Iterable[Path]) -> set[str]:
    """Names that the code of these places reads from the environment."""
    files = [
        file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))
    ]
    pattern = re.compile(r"environ(?:\.get\(|\[)\s*\"([A-Z][A-Z0-9_]+)\"")
    return {name for file in files for name in pattern.findall(file.read_text())}
