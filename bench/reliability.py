"""Writes the figures of docs/reliability.md and its pictures: `python -m bench.reliability`.

Reads what `make simulate`, `make chaos`, `make soak` and `make verify` left under build/.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import charts
from .machine import ROOT, of, table

PARTS = ("simulation", "chaos", "soak")
_TARGETS = {"simulation": "simulate"}
_WINDOW = 5.0  # seconds that a point of the throughput stands for


def write(found: Mapping[str, Mapping[str, Any]], docs: Path) -> None:
    """Replaces what stands between the marks of the page, and the pictures.

    Args:
        found: The content of build/{part}.json, by part.
        docs: The folder of the documentation.

    Raises:
        ValueError: The page has no marks.
    """
    folder = docs / "reliability"
    folder.mkdir(exist_ok=True)
    for name, picture in pictures(found["soak"]).items():
        (folder / f"{name}.svg").write_text(picture)
    lines = [
        *_provenance(found),
        *_simulation(found["simulation"]),
        *_kills(found["chaos"]),
        *_world(found["chaos"]),
        *_soak(found["soak"]),
    ]
    replace(docs, "figures", lines)


def write_verified(figures: Mapping[str, Any], docs: Path) -> None:
    """Writes the result of `make verify` into the page.

    Args:
        figures: The content of build/verify.json.
        docs: The folder of the documentation.

    Raises:
        ValueError: The page has no marks.
    """
    parts: Mapping[str, Mapping[str, float]] = figures["parts"]
    lines = [
        f"`{figures['command']}`, {of(figures)}: {sum(part['tests'] for part in parts.values()):g}"
        f" tests in {figures['seconds'] / 60:.1f} minutes, {len(figures['failed'])} failed,"
        f" {len(figures['skipped'])} skipped.",
        "",
        "| Tests | How many | Failed | Seconds |",
        "|---|---|---|---|",
        *(
            f"| {name} | {part['tests']} | {part['failed']} | {part['seconds']:.0f} |"
            for name, part in sorted(parts.items())
        ),
        "",
        *(f"- FAILED {name}" for name in figures["failed"]),
        *(f"- SKIPPED {name}: {why}" for name, why in figures["skipped"].items()),
    ]
    replace(docs, "verify", [*lines, ""] if lines[-1] else lines)


def replace(docs: Path, name: str, lines: Sequence[str]) -> None:
    """Puts lines between the marks of the page with this name.

    Raises:
        ValueError: The page has no such marks.
    """
    page = docs / "reliability.md"
    begin_mark, end_mark = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = page.read_text().partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not (begin and end):
        raise ValueError(f"{page} has no {begin_mark} and {end_mark}")
    page.write_text("\n".join([before + begin, "", *lines, end + after]))


def _provenance(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = table(found["soak"])
    lines += [f"| `{figures['command']}` | {of(figures)} |" for figures in found.values()]
    return [*lines, ""]


def _simulation(figures: Mapping[str, Any]) -> list[str]:
    faults = sum(figures["hits"].values())
    return [
        "### Simulation",
        "",
        f"{figures['runs']:,} runs with {figures['operations']:,} operations and {faults:,} faults"
        f" in {figures['seconds']:.0f} s: {figures['runs'] / figures['seconds']:,.0f} runs,"
        f" {faults / figures['seconds']:,.0f} faults a second."
        f" {figures['covered']} of {figures['targets']} (fault, call) pairs happened."
        f" {figures['fenced']:,} writes came after their undo and were kept out.",
        "",
    ]


def _kills(figures: Mapping[str, Any]) -> list[str]:
    waves: dict[str, list[Mapping[str, Any]]] = {}
    for case in figures["kill_cases"]:
        waves.setdefault(case["case"].partition(": ")[0], []).append(case)
    lines = [
        "### Kill matrix",
        "",
        f"{len(figures['kill_cases'])} cases: each fault at each place of the onboarding.",
        "",
        "| Fault | Cases | Promises missed | Slowest recovery, s |",
        "|---|---|---|---|",
    ]
    for wave, cases in waves.items():
        missed = sum(bool(case["problems"]) for case in cases)
        slowest = max(case["seconds"] for case in cases)
        lines.append(f"| {wave} | {len(cases)} | {missed} | {slowest:.1f} |")
    return [*lines, ""]


def _world(figures: Mapping[str, Any]) -> list[str]:
    lines = [
        "### World faults",
        "",
        "Recovery is from the end of the fault to the end of the last onboarding that it met;"
        " *next one* is how long somebody new took after that.",
        "",
        "| Fault | Onboarded | Undone | Recovery, s | Next one, s | Promises |",
        "|---|---|---|---|---|---|",
    ]
    for one in figures["world_faults"]:
        if one["skipped"]:
            lines.append(f"| {one['fault']} | | | | | SKIPPED: {one['skipped']} |")
            continue
        kept = f"{len(one['problems'])} missed" if one["problems"] else "kept"
        lines.append(
            f"| {one['fault']} | {one['onboarded']} | {one['undone']} | {one['recovery']:.1f}"
            f" | {one['again']:.1f} | {kept} |"
        )
    return [*lines, ""]


def _soak(figures: Mapping[str, Any]) -> list[str]:
    growth = ", ".join(
        f"{name} {slope['mib']:.0f} MiB ({slope['growth']:+.1%} in {slope['seconds']} s)"
        for name, slope in figures["memory"].items()
    )
    return [
        "### Load with a killer",
        "",
        f"{figures['minutes']:g} minutes at {figures['load_per_second']:.1f} onboardings a second,"
        f" 70 % of the {figures['capacity_per_second']:.1f} that the machine can; a service is"
        " killed every 30 s.",
        "",
        f"{figures['begun']:,} begun, {figures['onboarded']:,} completed"
        f" ({figures['completion']:.3%}), {figures['kills']} kills,"
        f" {len(figures['orphans_and_duplicates'])} orphans or duplicates."
        f" Half were done in {figures['seconds_p50']:.1f} s,"
        f" 95 % in {figures['seconds_p95']:.1f} s, all in {figures['seconds_max']:.1f} s.",
        "",
        f"Memory, and its growth in the longest life of each service: {growth}.",
        "",
        "![throughput with the kills](reliability/soak-throughput.svg)",
        "",
        "![time of an onboarding with the kills](reliability/soak-latency.svg)",
        "",
        "![memory of the services](reliability/soak-memory.svg)",
        "",
    ]


def pictures(soak: Mapping[str, Any]) -> dict[str, str]:
    """SVG pictures of a soak, by name."""
    series = soak["series"]
    kills = [(kill["at"], kill["service"].removesuffix("-worker")) for kill in series["kills"]]
    ended = sorted(series["ended"], key=lambda one: float(one["at"]))
    memory: dict[str, list[tuple[float, float]]] = {}
    for sample in series["memory"]:
        memory.setdefault(sample["service"], []).append((sample["at"], sample["mib"]))
    return {
        "soak-throughput": charts.lines(
            "Onboardings a second; dashed: a service is killed",
            "seconds",
            "onboardings/s",
            {
                "begun": _rates(series["begun"]),
                "done": _rates([one["at"] for one in ended]),
            },
            marks=kills,
        ),
        "soak-latency": charts.lines(
            "How long an onboarding takes; dashed: a service is killed",
            "second at which it ended",
            "seconds",
            {"slowest of each 2 s": _slowest(ended)},
            marks=kills,
        ),
        "soak-memory": charts.lines(
            "Resident memory of the services", "seconds", "MiB", memory, marks=kills
        ),
    }


def _rates(times: Sequence[float]) -> list[tuple[float, float]]:
    """How many a second, window by window."""
    counts: dict[int, int] = {}
    for at in times:
        counts[int(at // _WINDOW)] = counts.get(int(at // _WINDOW), 0) + 1
    last = max(counts, default=0)
    return [((slot + 0.5) * _WINDOW, counts.get(slot, 0) / _WINDOW) for slot in range(last + 1)]


def _slowest(ended: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    slots: dict[int, float] = {}
    for one in ended:
        slot = int(one["at"] // 2)
        slots[slot] = max(slots.get(slot, 0.0), one["seconds"])
    return [(2.0 * slot + 1, seconds) for slot, seconds in slots.items()]


def main() -> None:
    """Writes them."""
    parser = argparse.ArgumentParser(prog="python -m bench.reliability", description=__doc__)
    parser.add_argument("--figures", type=Path, default=ROOT / "build")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--only-verify", action="store_true")
    arguments = parser.parse_args()
    wanted = ["verify"] if arguments.only_verify else [*PARTS, "verify"]
    found = {
        name: json.loads(file.read_text())
        for name in wanted
        if (file := arguments.figures / f"{name}.json").exists()
    }
    missing = [f"make {_TARGETS.get(name, name)}" for name in wanted if name not in found]
    if missing:
        raise SystemExit(f"{arguments.figures} lacks figures: run {', '.join(missing)} first.")
    write_verified(found.pop("verify"), arguments.docs)
    if found:
        write(found, arguments.docs)
    print(f"wrote the figures of {arguments.docs / 'reliability.md'}")


if __name__ == "__main__":
    main()
