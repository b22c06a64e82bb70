"""Keeps what `make verify` found: python -m tests.verified COMMAND... reads build/verify.xml."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

from bench.machine import ROOT

from . import figures

JUNIT = ROOT / "build" / "verify.xml"


def result(junit: Path) -> dict[str, object]:
    """What a run's JUnit file says.

    Returns:
        seconds by the clock; of each file of tests how many ran, their seconds and how many
        failed; the names of those that failed; why others were skipped.
    """
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    if suite is None:
        raise ValueError(f"{junit} is no JUnit file of pytest")
    parts: dict[str, dict[str, float]] = {}
    failed: list[str] = []
    skipped: dict[str, str] = {}
    for case in suite.iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        part = parts.setdefault(
            case.get("classname", ""), {"tests": 0, "seconds": 0.0, "failed": 0}
        )
        part["tests"] += 1
        part["seconds"] = round(part["seconds"] + float(case.get("time", 0)), 1)
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
            part["failed"] += 1
        elif (skip := case.find("skipped")) is not None:
            skipped[name] = skip.get("message", "")
    seconds = float(suite.get("time", 0))
    return {"seconds": seconds, "parts": parts, "failed": failed, "skipped": skipped}


def main(command: list[str]) -> None:
    """Writes build/verify.json."""
    if not JUNIT.exists():
        raise SystemExit(f"There is no {JUNIT}: the run broke off.")
    print(f"result in {figures.write('verify', ' '.join(command), result(JUNIT))}")


if __name__ == "__main__":
    main(sys.argv[1:])
