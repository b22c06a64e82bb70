"""Links lead somewhere, decisions are listed, and pictures need nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nexpo_dev.demo.acts import Act
from nexpo_dev.demo.picture import draw

from .markdown import ROOT, anchors, documents, links


@pytest.mark.parametrize("file", documents(), ids=str)
def test_every_link_inside_the_repository_leads_somewhere(file: Path) -> None:
    broken = []
    for link in links(file):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / file).parent / path if path else ROOT / file
        there = target.exists()
        if not there or (anchor and anchor not in anchors(target.resolve().relative_to(ROOT))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("folder", ["docs/adr", "docs/runbooks"])
def test_every_page_of_a_folder_is_in_its_index(folder: str) -> None:
    index = Path(folder, "README.md")
    pages = {page.name for page in (ROOT / folder).glob("*.md")} - {"README.md"}
    assert pages
    assert pages - set(links(index)) == set()


def test_decisions_are_numbered_without_a_gap_and_say_the_same_four_things() -> None:
    decisions = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        headings = re.findall(r"^## (.*)$", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives"], path.name


def test_the_picture_of_the_demo_shows_all_acts_and_loads_nothing() -> None:
    assert "docs/demo.svg" in links(Path("README.md"))
    shown = _shown(ROOT / "docs/demo.svg")
    for words in ("Act 1: Finishes", "Act 2: Undoes", "Act 3: Survives", "attempt 2"):
        assert words in shown


def test_a_picture_shows_what_was_found_not_what_was_promised(tmp_path: Path) -> None:
    undone = Act("Undoes", "ben@example.com", ending="undone: STORE_REFUSED")
    undone.notes.append("It was told to refuse.")
    undone.steps = [
        {"name": "create in postgres", "state": "UNDONE", "attempt": 1, "reason": ""},
        {"name": "create in sqlserver", "state": "FAILED", "attempt": 3, "reason": "STORE_REFUSED"},
    ]
    undone.proofs = {
        "before": [{"store": "postgres", "ids": ("1", "2")}],
        "after the undo": [{"store": "postgres", "ids": ()}],
    }
    draw([undone], 12.34, tmp_path / "picture.svg")
    shown = _shown(tmp_path / "picture.svg")
    for words in (
        "Act 1: Undoes",
        "It was told to refuse.",
        "↶ create in postgres",
        "✗ create in sqlserver",
        "attempt 3",
        "STORE_REFUSED",
        "postgres 0",
        "12.3 s",
    ):
        assert words in shown
    assert "postgres 2" not in shown


def _shown(picture: Path) -> str:
    """The text of a picture that loads nothing from elsewhere."""
    svg = picture.read_text()
    assert set(re.findall(r"https?://[^\"' )]+", svg)) == {"http://www.w3.org/2000/svg"}
    return re.sub(r"<[^>]+>", "", svg).replace("&#160;", " ")
