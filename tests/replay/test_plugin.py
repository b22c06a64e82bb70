"""`--record` runs what records, and nothing else; what it writes is for people to read."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from .plugin import pytest_collection_modifyitems
from .recorded import HISTORIES


@pytest.mark.parametrize(
    ("given", "left"), [(True, ["recorder", "encrypted_recorder"]), (False, None)]
)
def test_with_the_option_only_tests_that_record_are_run(
    given: bool, left: list[str] | None
) -> None:
    names = ["tmp_path", "recorder", "encrypted_recorder"]
    tests = [SimpleNamespace(fixturenames=["request", name]) for name in names]
    items = cast(list[pytest.Item], tests)
    config = SimpleNamespace(getoption={"--record": given}.__getitem__)

    pytest_collection_modifyitems(cast(pytest.Config, config), items)

    assert [item.fixturenames[1] for item in items] == (left or names)  # type: ignore[attr-defined]  # a stand-in


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*/*.json")), ids=lambda path: path.stem)
def test_people_read_what_is_recorded_but_where_it_shows_encryption(path: Path) -> None:
    sealed = b64encode(b"binary/encrypted").decode() in path.read_text(encoding="utf-8")

    assert sealed is (path.parent.name == "CheckHealth")
