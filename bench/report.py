"""Writes docs/benchmarks.md and its pictures from build/bench.json: `python -m bench.report`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from . import charts
from .machine import ROOT, of, table
from .measure import percentile

_TITLES = {
    "gateway": "The gateway against the bare SDK's client",
    "onboarding": "The onboarding against the same steps on the bare SDK",
    "watch": "A thousand watchers",
    "footprint": "What the services take",
}
_HOW = {
    "gateway": """\
The gateway's client calls gRPC and the gateway runs the workflow, as it does all of the house's.
The bare client calls Temporal and a worker of ours runs the same workflow. Both start with the same
progress, search attributes, encryption and tracing on a tuned server. *Sequential* compares all of
the house with a plain workflow on a plain worker. *Start* has no worker, so the start alone is
measured. CPU is that of every process, Temporal's server included, per call.""",
    "onboarding": """\
The house as it is deployed (four services) against four workers of the bare SDK that do the
same writes, by the stores' own code, in the same order, with undo; PostgreSQL, MongoDB
(SecantusDB) and Supabase (PostgREST), object storage, a model and a mail server, all on the
same machine. A person takes 0.3 s from the mail to the click. Hashing the password is inside
every figure. *Bare with progress* writes each step into the workflow's memo, as the house does
for Get, List and Watch; the server then brings its list of workflows up to date. It is one
batch, to see what that costs. DBOS does the same writes, without undo or encryption and with
the load in its own process: it is a library and needs no server beside PostgreSQL, and is here
for orientation.""",
    "watch": """\
Each stream watches an operation of its own, so no two share a poll of Temporal. A delay is from
sending a signal through the gateway to the frame that shows its effect, the workflow's task in
it.""",
    "footprint": """\
Each service sees only what its own lock holds. Memory is resident memory, shared libraries
included.""",
}


def write(figures: Mapping[str, Any], docs: Path) -> None:
    """Writes the page and its pictures.

    Args:
        figures: The content of build/bench.json.
        docs: The folder of the documentation.
    """
    folder = docs / "benchmarks"
    folder.mkdir(exist_ok=True)
    pictures = _pictures(figures)
    for name, picture in pictures.items():
        (folder / f"{name}.svg").write_text(picture)
    page = [
        "# Benchmarks",
        "",
        "Made by `make bench` and `make pictures` from one machine's run: the ratios matter, the",
        "absolute figures are the machine's. Pairs are interleaved, figures are medians, every",
        "batch has a fresh Temporal server. `make bench` ends with an error when a bar is missed.",
        "",
        *_provenance(figures),
    ]
    for part in _TITLES:
        if part in figures:
            page += _section(part, figures[part], pictures)
    (docs / "benchmarks.md").write_text("\n".join(page))


def _provenance(figures: Mapping[str, Any]) -> list[str]:
    lines = table(next(iter(figures.values())))
    for name, found in figures.items():
        lines.append(
            f"| {name} | `{found['command']}`, {of(found)}, {found['seconds']:.0f} s,"
            f" load before {found['load_before'][0]} |"
        )
    if any(found["quick"] for found in figures.values()):
        lines += ["", "**Some of these figures are of a quick run: noise, to see that it works.**"]
    return [*lines, ""]


def _section(part: str, found: Mapping[str, Any], pictures: Mapping[str, str]) -> list[str]:
    lines = [f"## {_TITLES[part]}", "", _HOW[part], "", "| Bar | Measured | Wanted | |"]
    lines.append("|---|---|---|---|")
    for bar in found["bars"]:
        lines.append(
            f"| {bar['name']} | {bar['value']:.3g}{bar['unit']} |"
            f" {bar['sense']} {bar['limit']:.3g}{bar['unit']} | {bar['verdict']} |"
        )
    notes: dict[str, str] = {}
    for bar in found["bars"]:
        # The same note stands at the growth of each service.
        notes.setdefault(bar["note"], bar["name"])
    lines += ["", *(f"- {name}: {note}" for note, name in notes.items() if note), ""]
    lines += _measured(found["measurements"])
    if part == "onboarding":
        lines += _breakdown(found["raw"])
    for name in pictures:
        if name.startswith(part):
            lines += [f"![{name.replace('-', ' ')}](benchmarks/{name}.svg)", ""]
    return lines


def _measured(measurements: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is shown beside the bars."""
    if not measurements:
        return []
    lines = ["Measured beside, with nothing promised:", "", "| | Measured | |", "|---|---|---|"]
    for one in measurements:
        lines.append(f"| {one['name']} | {one['value']:.3g}{one['unit']} | {one['note']} |")
    return [*lines, ""]


def _breakdown(raw: Mapping[str, Any]) -> list[str]:
    """Where the CPU goes, process by process."""
    arms = _onboarding_cpu(raw)
    processes = list(dict.fromkeys(name for cpu in arms.values() for name in cpu))
    lines = ["CPU per onboarding in ms, by process:", "", f"| | {' | '.join(arms)} |"]
    lines.append("|---|" + "---|" * len(arms))
    for name in processes:
        row = " | ".join(f"{cpu.get(name, 0):.1f}" for cpu in arms.values())
        lines.append(f"| {name} | {row} |")
    row = " | ".join(f"**{sum(cpu.values()):.0f}**" for cpu in arms.values())
    hashing = raw["password_hashing_cpu_ms"]
    return [*lines, f"| all | {row} |", "", f"In each: {hashing:.0f} ms for the password.", ""]


def _onboarding_cpu(raw: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    found = {name: _grouped(raw["cpu_ms_by_process"][name]) for name in ("ours", "bare")}
    found["bare with progress"] = _grouped(raw["bare with progress"]["cpu_ms"])
    found["bare, no codec"] = _grouped(raw["bare without codec and tracing"]["cpu_ms"])
    if isinstance(raw["dbos"], dict):
        found["DBOS"] = _grouped(raw["dbos"]["cpu_ms"])
    return found


def _grouped(cpu: Mapping[str, float]) -> dict[str, float]:
    """The stores' processes as one."""
    own = {
        "server": "Temporal",
        "gateway": "gateway",
        "client": "client",
        "dbos": "DBOS and client",
    }
    grouped: dict[str, float] = {}
    for name, value in cpu.items():
        group = own.get(name, name if name.endswith("worker") else "stores, model")
        grouped[group] = grouped.get(group, 0) + value
    return grouped


def _pictures(figures: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    if "gateway" in figures:
        found |= _gateway(figures["gateway"]["raw"])
    if "onboarding" in figures:
        found |= _onboarding(figures["onboarding"]["raw"])
    if "watch" in figures:
        delays = figures["watch"]["raw"]["delays_ms"]
        found["watch-delays"] = charts.lines(
            "From a change to its frame, 1,000 streams" if len(delays) > 100 else "Quick run",
            "ms",
            "% of changes",
            {"delivered within": _distribution(delays)},
            logarithmic=True,
        )
    if "footprint" in figures:
        found |= _footprint(figures["footprint"]["raw"])
    return found


def _gateway(raw: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    phases = ("start", "start and wait", "sequential")
    rates = {
        phase: {arm: median(batch["rate"] for batch in raw[phase][arm]) for arm in ("ours", "bare")}
        for phase in phases
    }
    found["gateway-throughput"] = charts.bars("Calls a second", "calls/s", rates)
    for phase in ("start and wait", "sequential"):
        found[f"gateway-latency-{phase.replace(' ', '-')}"] = charts.lines(
            f"Latency, {phase}",
            "ms",
            "% of calls",
            {arm: _distribution(_all_latencies(raw[phase][arm])) for arm in ("ours", "bare")},
            logarithmic=True,
        )
    return found


def _onboarding(raw: Mapping[str, Any]) -> dict[str, str]:
    arms: dict[str, Sequence[Mapping[str, Any]]] = {
        "ours": raw["ours"],
        "bare": raw["bare"],
        "bare with progress": [raw["bare with progress"]],
        "bare, no codec": [raw["bare without codec and tracing"]],
    }
    if isinstance(raw["dbos"], dict):
        arms["DBOS"] = [raw["dbos"]]
    rates = {arm: {"rate": median(b["rate"] for b in batches)} for arm, batches in arms.items()}
    latencies = {arm: _distribution(_all_latencies(batches)) for arm, batches in arms.items()}
    at_once = raw["load"]["at_once"]
    return {
        "onboarding-throughput": charts.bars(
            f"Onboardings a second, {at_once} at once", "onboardings/s", rates
        ),
        "onboarding-latency": charts.lines(
            f"Latency of an onboarding, {at_once} at once",
            "ms",
            "% of onboardings",
            latencies,
            logarithmic=True,
        ),
        "onboarding-cpu": charts.bars(
            "Where the CPU of an onboarding goes",
            "ms",
            _onboarding_cpu(raw),
            stacked=True,
            unit=" ms",
        ),
    }


def _footprint(raw: Mapping[str, Any]) -> dict[str, str]:
    trace = raw["trace"]
    memory = {
        name: list(zip(trace["done"], series, strict=True)) for name, series in trace["mib"].items()
    }
    seconds, done = trace["seconds"], trace["done"]
    window = max(1, len(done) // 60)
    throughput = [
        (seconds[i], (done[i] - done[i - window]) / (seconds[i] - seconds[i - window]))
        for i in range(window, len(done))
        if seconds[i] > seconds[i - window]
    ]
    found = {
        "footprint-memory": charts.lines("Memory over onboardings", "onboardings", "MiB", memory)
    }
    if throughput:
        found["footprint-throughput"] = charts.lines(
            "Throughput over time", "seconds", "onboardings/s", {"the house": throughput}
        )
    return found


def _all_latencies(batches: Sequence[Mapping[str, Any]]) -> list[float]:
    return sorted(value for batch in batches for value in batch["latencies_ms"])


def _distribution(ordered: list[float]) -> charts.Points:
    """Percentiles 1 to 100 as points."""
    return [(max(percentile(ordered, p), 0.01), float(p)) for p in range(1, 101)]


def main() -> None:
    """Writes them."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--figures", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    if not arguments.figures.exists():
        raise SystemExit(f"There is no {arguments.figures}: run make bench first.")
    write(json.loads(arguments.figures.read_text()), arguments.docs)
    print(f"wrote {arguments.docs / 'benchmarks.md'} and its pictures")


if __name__ == "__main__":
    main()
