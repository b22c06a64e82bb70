"""Markdown, as far as its tests need it: fenced blocks and how each is to be run, links, tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

RUNNABLE = ("sh", "bash", "python")
"""Languages whose blocks a reader would run, so that a test must."""

_MARK = re.compile(r"<!-- run: (?P<how>[a-z]+)(?:, (?P<why>.+))? -->")
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        file: Its file, from the root.
        line: Of its opening fence, from 1.
        language: After the fence.
        how: How it is run: the word of the comment `<!-- run: HOW -->` before it, or "".
        text: What is in it.
    """

    file: Path
    line: int
    language: str
    how: str
    text: str

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.file}:{self.line}"


def documents() -> list[Path]:
    """Every Markdown file that is written for readers, from the root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path.relative_to(ROOT) for path in found)


def blocks(file: Path) -> list[Block]:
    """The fenced blocks of a file, in order."""
    found: list[Block] = []
    opened: tuple[int, str, str] | None = None
    how = ""
    kept: list[str] = []
    for number, line in enumerate((ROOT / file).read_text().splitlines(), 1):
        if opened is None and line.startswith("```"):
            opened = (number, line[3:].strip(), how)
            kept = []
        elif opened is not None and line.startswith("```"):
            found.append(Block(file, *opened, "\n".join(kept) + "\n"))
            opened = None
        elif opened is not None:
            kept.append(line)
        if opened is None and line.strip():
            mark = _MARK.fullmatch(line.strip())
            how = mark["how"] if mark else ""
    return found


def prose(file: Path) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", (ROOT / file).read_text(), flags=re.DOTALL | re.MULTILINE)


def links(file: Path) -> list[str]:
    """Targets of the links and pictures of a file."""
    return [match["target"] for match in _LINK.finditer(prose(file))]


def anchors(file: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a file."""
    titles = re.findall(r"^#+ +(.*)$", prose(file), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def rows(file: Path, heading: str) -> list[list[str]]:
    """The rows of the tables below a heading of the second level, without their heads."""
    text = prose(file)
    sections = re.split(r"^## +", text, flags=re.MULTILINE)[1:]
    [section] = [part for part in sections if part.partition("\n")[0].strip() == heading]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {number for number, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [
        row for number, row in enumerate(cells) if number not in heads and number + 1 not in heads
    ]
