"""The page of reliability is written from figures; here from figures that are known."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from bench.reliability import pictures, write, write_verified
from tests.verified import result

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
JUNIT = """<testsuites><testsuite time="90.5">
<testcase classname="tests.a" name="one" time="1.5"/>
<testcase classname="tests.a" name="two" time="2.5"><failure message="no"/></testcase>
<testcase classname="tests.b" name="three" time="4"><skipped message="needs root"/></testcase>
</testsuite></testsuites>"""
ABOUT: dict[str, Any] = {
    "command": "make it",
    "time": "2026-01-01T00:00:00Z",
    "commit": "0123456789abcdef",
    "changed_files": 0,
    "machine": {
        "processor": "P",
        "cores": 2,
        "memory_gib": 4.0,
        "system": "Linux",
        "python": "3.11.7",
    },
    "versions": {"temporalio": "1"},
}
SOAK: dict[str, Any] = {
    **ABOUT,
    "minutes": 1.0,
    "capacity_per_second": 4.0,
    "load_per_second": 2.8,
    "begun": 4,
    "onboarded": 3,
    "completion": 0.75,
    "kills": 1,
    "orphans_and_duplicates": ["one"],
    "seconds_p50": 1.0,
    "seconds_p95": 2.0,
    "seconds_max": 3.0,
    "memory": {"gateway": {"mib": 100.0, "growth": 0.01, "seconds": 50}},
    "series": {
        "begun": [0.0, 0.5, 1.0, 6.0],
        "ended": [
            {"at": 2.0, "seconds": 2.0, "how": "onboarded"},
            {"at": 7.0, "seconds": 1.0, "how": "onboarded"},
        ],
        "kills": [{"at": 30.0, "service": "db-worker", "ready": 33.0}],
        "memory": [{"at": 0.0, "service": "gateway", "mib": 100.0, "life": 1, "begun": 0}],
    },
}
FOUND: dict[str, Any] = {
    "simulation": {
        **ABOUT,
        "runs": 10,
        "operations": 20,
        "seconds": 2.0,
        "covered": 3,
        "targets": 4,
        "fenced": 1,
        "hits": {"a | b": 5, "c | d": 1},
    },
    "chaos": {
        **ABOUT,
        "kill_cases": [
            {"case": "refused: here", "problems": [], "seconds": 1.0},
            {"case": "refused: there", "problems": ["left over"], "seconds": 4.0},
        ],
        "world_faults": [
            {"fault": "disk full", "skipped": "no tmpfs"},
            {
                "fault": "cut",
                "skipped": "",
                "onboarded": 8,
                "undone": 1,
                "recovery": 2.5,
                "again": 0.6,
                "problems": [],
            },
        ],
    },
    "soak": SOAK,
}


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(FOUND, tmp_path)
    once = page.read_text()
    write(FOUND, tmp_path)
    assert page.read_text() == once
    assert once.startswith(f"before\n{BEGIN}\n")
    assert once.endswith(f"{END}\nafter\n")
    assert "old" not in once


def test_the_page_tells_what_missed_and_what_was_skipped(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(f"{BEGIN}{END}")
    write(FOUND, tmp_path)
    text = page.read_text()
    assert "| refused | 2 | 1 | 4.0 |" in text
    assert "| disk full | | | | | SKIPPED: no tmpfs |" in text
    assert "| cut | 8 | 1 | 2.5 | 0.6 | kept |" in text
    assert "3 of 4 (fault, call) pairs" in text
    assert "3 completed (75.000%), 1 kills, 1 orphans" in text
    assert "5 runs, 3 faults a second" in text


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text("words")
    with pytest.raises(ValueError, match="figures: begin"):
        write(FOUND, tmp_path)
    assert page.read_text() == "words"


def test_kills_are_marked_in_the_pictures_of_the_load() -> None:
    drawn = pictures(SOAK)
    assert set(drawn) == {"soak-throughput", "soak-latency", "soak-memory"}
    for picture in drawn.values():
        assert ElementTree.fromstring(picture).tag.endswith("svg")
        assert picture.count('class="mark"') == 1
        assert ">db</text>" in picture


def test_the_page_tells_what_make_verify_found(tmp_path: Path) -> None:
    page, junit = tmp_path / "reliability.md", tmp_path / "verify.xml"
    page.write_text("before\n<!-- verify: begin --><!-- verify: end -->after")
    junit.write_text(JUNIT)
    write_verified({**ABOUT, **result(junit)}, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n<!-- verify: begin -->\n")
    assert text.endswith("<!-- verify: end -->after")
    assert "commit 0123456789ab, 2026-01-01T00:00:00Z: 3 tests in 1.5 minutes, 1 failed" in text
    assert "| tests.a | 2 | 1 | 4 |" in text
    assert "- FAILED tests.a::two" in text
    assert "- SKIPPED tests.b::three: needs root" in text
