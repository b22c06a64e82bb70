"""Links lead somewhere, decisions are listed, and pictures need nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
    picture = (ROOT / "docs/demo.svg").read_text()
    assert "docs/demo.svg" in links(Path("README.md"))
    shown = picture.replace("&#160;", " ")
    for words in ("Act 1: Finishes", "Act 2: Undoes", "Act 3: Survives", "attempt 2"):
        assert words in shown
    assert set(re.findall(r"https?://[^\"' )]+", picture)) == {"http://www.w3.org/2000/svg"}
