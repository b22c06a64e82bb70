"""`make chaos` and `make soak`: python -m tests.chaos matrix|world|all|soak."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests import figures

from . import soak
from .field import open_field
from .matrix import WAVES
from .trial import Outcome
from .world import WATCHERS, WorldOutcome, bear, watch_and_wait
from .world_faults import WORLD_FAULTS, WORLD_PROXIED, mount_small_disk, unmount

_WORLD_SETTINGS = {"PUBLIC_RATE_LIMIT": "500"}
"""The contract's own time-outs: how long recovery takes is to be the real thing."""

console = Console(highlight=False, soft_wrap=True)


async def play_matrix(only: str) -> tuple[list[Outcome], dict[str, float]]:
    """Every case of the kill matrix whose fault's name has `only` in it."""
    outcomes: list[Outcome] = []
    seconds: dict[str, float] = {}
    waves = [wave for wave in WAVES if only in wave.name]
    if not waves:
        return [], {}
    with _folder() as folder:
        async with open_field(folder) as field:
            for wave in waves:
                begun = time.monotonic()
                played = await wave.run(field)
                seconds[wave.name] = round(time.monotonic() - begun, 1)
                outcomes += played
                _print_wave(wave.name, played, seconds[wave.name])
    return outcomes, seconds


async def play_world(only: str) -> list[WorldOutcome]:
    """Every fault of the world whose name has `only` in it."""
    outcomes: list[WorldOutcome] = []
    faults = [fault for fault in WORLD_FAULTS if only in fault.name]
    if not faults and only not in WATCHERS:
        return []
    with _folder() as folder:
        mount_small_disk(folder / "postgres")
        try:
            async with open_field(
                folder, _WORLD_SETTINGS, proxied=WORLD_PROXIED, legible=False
            ) as field:
                for fault in faults:
                    outcomes.append(await bear(field, fault))
                    _print_world(outcomes[-1])
                if only in WATCHERS:
                    outcomes.append(await watch_and_wait(field))
                    _print_world(outcomes[-1])
        finally:
            unmount(folder / "postgres")
    return outcomes


async def chaos(parts: str, only: str) -> int:
    """Plays, reports, and says what missed. Returns the exit code."""
    begun = time.monotonic()
    cases: list[Outcome] = []
    seconds: dict[str, float] = {}
    faults: list[WorldOutcome] = []
    if parts in ("matrix", "all"):
        cases, seconds = await play_matrix(only)
    if parts in ("world", "all"):
        faults = await play_world(only)
    missed = [f"{case.case}: {text}" for case in cases for text in case.problems]
    missed += [f"{fault.fault}: {text}" for fault in faults for text in fault.problems]
    skipped = {fault.fault: fault.skipped for fault in faults if fault.skipped}
    target = figures.write(
        "chaos",
        "make chaos" + (f' ONLY="{only}"' if only else ""),
        {
            "kill_cases": [case.as_dict() for case in cases],
            "wave_seconds": seconds,
            "world_faults": [fault.as_dict() for fault in faults],
            "skipped": skipped,
            "missed": missed,
            "seconds": round(time.monotonic() - begun, 1),
        },
    )
    if faults:
        console.print(_table(faults))
    console.print(
        f"{len(cases)} kill cases, {len(faults) - len(skipped)} faults of the world, "
        f"{len(skipped)} skipped, {len(missed)} promises missed, "
        f"in {time.monotonic() - begun:.0f} s; figures in {target}"
    )
    for text in missed:
        console.print(f"MISSED {text}")
    return 1 if missed or not (cases or faults) else 0


def _print_wave(name: str, played: list[Outcome], seconds: float) -> None:
    bad = sum(bool(outcome.problems) for outcome in played)
    slowest = max(outcome.seconds for outcome in played)
    console.print(
        f"{name:36} {len(played):3} cases, {bad} failed, {seconds:5.1f} s; "
        f"slowest recovery {slowest:.1f} s"
    )


def _print_world(outcome: WorldOutcome) -> None:
    if outcome.skipped:
        console.print(f"SKIPPED {outcome.fault}: {outcome.skipped}")
        return
    console.print(
        f"{outcome.fault:48} {outcome.onboarded} onboarded, {outcome.undone} undone, "
        f"recovered in {outcome.recovery:.1f} s{', MISSED' if outcome.problems else ''}"
    )
    for reason in sorted(set(outcome.reasons)):
        console.print(f"    undone by {reason}", style="dim")


def _table(outcomes: list[WorldOutcome]) -> Table:
    table = Table(title="Faults of the world", title_justify="left", title_style="bold")
    for name in ("fault", "onboarded", "undone", "recovery s", "next one s", "promises"):
        table.add_column(name, justify="left" if name in ("fault", "promises") else "right")
    for one in outcomes:
        if one.skipped:
            table.add_row(one.fault, "", "", "", "", f"SKIPPED: {one.skipped}")
            continue
        kept = "kept" if not one.problems else f"{len(one.problems)} missed"
        figures = (str(one.onboarded), str(one.undone), f"{one.recovery:.1f}", f"{one.again:.1f}")
        table.add_row(one.fault, *figures, kept)
    return table


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="nexpo-chaos-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Reads the command line and plays."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("matrix", "world", "all"):
        command = commands.add_parser(name)
        command.add_argument("--only", default="", help="part of a fault's name")
    command = commands.add_parser("soak")
    command.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args(arguments)
    if options.command == "soak":
        with _folder() as folder:
            return asyncio.run(soak.main(folder, options.minutes, console.print))
    return asyncio.run(chaos(options.command, options.only))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
