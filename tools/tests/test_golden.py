"""The golden vectors: committed as the runtime makes them, and nothing beside them."""

from __future__ import annotations

from nexpo_tools.generate import ROOT
from nexpo_tools.golden.__main__ import FOLDER, files


def test_the_golden_vectors_are_those_of_the_runtime() -> None:
    expected = files()
    committed = {path.relative_to(ROOT): path for path in (ROOT / FOLDER).iterdir()}
    assert committed.keys() == expected.keys()
    for path, text in expected.items():
        assert committed[path].read_text(encoding="utf-8") == text, f"{path}: run make generate"
