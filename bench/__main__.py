"""`make bench`: measures everything, checks the bars, writes build/bench.json.

    python -m bench                      all of it, about half an hour on two cores
    python -m bench --quick              small counts, to see that it works; its figures are noise
    python -m bench --only watch         one part; the others' last figures stay in the file

Exits 1 when a bar was missed, and names it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from . import footprint, gateway_cost, onboarding, watching
from .bars import Bar, Figure, Measurement
from .machine import ROOT, facts
from .rig import WORK

Part = Callable[[], Awaitable[tuple[Sequence[Figure], dict[str, object]]]]

PARTS = ("gateway", "onboarding", "watch", "footprint")


async def measure(arguments: argparse.Namespace) -> list[Bar]:
    """Runs the parts that are asked for; writes the file after each."""
    parts = _quick() if arguments.quick else _whole(arguments)
    out: Path = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    bars: list[Bar] = []
    for name in arguments.only or PARTS:
        print(f"{name} ...", flush=True)
        about, began = facts(), time.monotonic()
        found, raw = await parts[name]()
        bars += [figure for figure in found if isinstance(figure, Bar)]
        about |= {
            "command": " ".join(["python -m bench", *sys.argv[1:]]),
            "quick": arguments.quick,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - began, 1),
        }
        _write(out, name, about, found, raw)
        for figure in found:
            print(f"  {figure}", flush=True)
            if figure.note:
                print(f"            {figure.note}", flush=True)
    return bars


def _whole(arguments: argparse.Namespace) -> dict[str, Part]:
    memory = footprint.Load(onboardings=arguments.onboardings, budget_seconds=arguments.budget)
    return {
        "gateway": lambda: gateway_cost.measure(arguments.pairs, gateway_cost.Load()),
        "onboarding": lambda: onboarding.measure(arguments.pairs, onboarding.Load()),
        "watch": lambda: watching.measure(watching.Load()),
        "footprint": lambda: footprint.measure(memory),
    }


def _quick() -> dict[str, Part]:
    gateway = gateway_cost.Load(starts=60, waits=40, sequential=15, at_once=8)
    watched = watching.Load(watchers=50, idle_seconds=3, moves=20)
    memory = footprint.Load(onboardings=30, at_once=10, repeats=1, settle_seconds=1)
    return {
        "gateway": lambda: gateway_cost.measure(1, gateway),
        "onboarding": lambda: onboarding.measure(1, onboarding.Load(onboardings=15, at_once=8)),
        "watch": lambda: watching.measure(watched),
        "footprint": lambda: footprint.measure(memory),
    }


def _write(
    out: Path,
    name: str,
    about: dict[str, object],
    figures: Sequence[Figure],
    raw: dict[str, object],
) -> None:
    """Puts a part's figures, with where and when they are from, into the file."""
    kept: dict[str, object] = json.loads(out.read_text()) if out.exists() else {}
    kept[name] = {
        **about,
        "bars": [bar.as_dict() for bar in figures if isinstance(bar, Bar)],
        "measurements": [one.as_dict() for one in figures if isinstance(one, Measurement)],
        "raw": raw,
    }
    out.write_text(json.dumps(kept, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small counts")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts only")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved pairs (5)")
    parser.add_argument("--onboardings", type=int, default=5000, help="to watch memory over (5000)")
    parser.add_argument(
        "--budget", type=float, default=1200, help="seconds for them at most (1200)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json")
    return parser.parse_args()


def main() -> int:
    """Measures; returns the exit code."""
    arguments = _arguments()
    bars = uvloop.run(measure(arguments))
    missed = [bar for bar in bars if bar.verdict == "missed"]
    with contextlib.suppress(OSError):  # another run's folders, or what a failure left to look at
        WORK.rmdir()
    print(f"\n{len(bars) - len(missed)} of {len(bars)} bars hold; figures in {arguments.out}")
    for bar in missed:
        print(f"missed: {bar}")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        code = main()
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    # The SDK may abort the interpreter while it is taken down (sdk-python issue 300).
    sys.stdout.flush()
    os._exit(code)
