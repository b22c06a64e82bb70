"""Many cases under one virtual clock, with the coverage counted and a failure shrunk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from typing import Any

from nexpo_runtime.workflow.virtual_time import Stuck, VirtualTimeLoop

from .case import Case, coverage_targets, make_case
from .invariants import violations
from .run import Outcome, Run

RUNS_PER_CLOCK = 200
"""A clock that shows centuries has no room for milliseconds."""

ALLOWED = timedelta(hours=36)
"""For one case; a person has a day to verify, and then everything is undone."""
TURNS = 100_000
"""Of the loop, for one case; a case needs some hundreds."""

MakeRun = Callable[[Case], Run]


@contextlib.contextmanager
def clock() -> Iterator[VirtualTimeLoop]:
    """A virtual clock; what a run that was given up leaves on it is ended with it."""
    with contextlib.suppress(Stuck), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualTimeLoop)
        yield loop


def simulated(run: Run, clock: VirtualTimeLoop) -> Outcome:
    """The run's outcome, also of one that does not end: it is given up in bounded time."""
    clock.allow(ALLOWED, TURNS)
    try:
        # Not Runner.run: to mind Ctrl-C it describes its task in words, case by case.
        return clock.run_until_complete(run.outcome())
    except Stuck as why:
        clock.allow(ALLOWED, TURNS)
        clock.set_exception_handler(lambda loop, context: None)
        return run.unfinished(why)


def violations_of(case: Case, make_run: MakeRun = Run) -> list[str]:
    """Runs one case on a clock of its own; the promises that it broke."""
    with clock() as own:
        return violations(simulated(make_run(case), own))


def shrunk(case: Case, make_run: MakeRun = Run) -> Case:
    """The case with the shortest list of faults that still breaks a promise."""
    smaller = True
    while smaller:
        smaller = False
        for fault in case.faults:
            if violations_of(case.without(fault), make_run):
                case, smaller = case.without(fault), True
                break
    return case


def told(case: Case, broken: list[str]) -> str:
    """A case that failed, what it broke, and the command that plays it again."""
    seed, _, number = case.seed.partition("/")
    return "\n".join([str(case), *broken, f"replay: make simulate SEED={seed} CASE={number}"])


class Campaign:
    """Runs the cases of a seed until one fails.

    Attributes:
        failed: The first case that broke a promise, or None.
        broken: Which promises it broke.
        hit: How often each (call, fault) happened.
        fenced: How many effects landed after their undo and were kept out.
    """

    def __init__(self, seed: int, make_run: MakeRun = Run) -> None:
        self.targets = coverage_targets()
        self.failed: Case | None = None
        self.broken: list[str] = []
        self.hit: Counter[tuple[str, str]] = Counter()
        self.runs = 0
        self.operations = 0
        self.seconds = 0.0
        self.fenced = 0
        self.endings: Counter[str] = Counter()
        self._seed = seed
        self._make_run = make_run

    def run(self, runs: int, first: int = 0) -> None:
        """Runs so many cases from number `first` on, or up to the first that fails."""
        began = time.perf_counter()
        for start in range(first, first + runs, RUNS_PER_CLOCK):
            with clock() as shared:
                for number in range(start, min(start + RUNS_PER_CLOCK, first + runs)):
                    if self.failed is None:
                        self._run_one(shared, number)
        self.seconds = time.perf_counter() - began

    def run_on_all_cores(self, runs: int) -> None:
        """The same with a process per core; the cases do not depend on how many."""
        began = time.perf_counter()
        cores = os.cpu_count() or 1
        share = -(-runs // cores)
        spans = [(first, min(share, runs - first)) for first in range(0, runs, share)]
        with ProcessPoolExecutor(cores) as pool:
            for part in pool.map(_part, [self._seed] * len(spans), spans):
                self._add(part)
        self.seconds = time.perf_counter() - began

    def _add(self, part: Campaign) -> None:
        if self.failed is None:
            self.failed, self.broken = part.failed, part.broken
        self.hit += part.hit
        self.endings += part.endings
        self.runs += part.runs
        self.operations += part.operations
        self.fenced += part.fenced

    def _run_one(self, clock: VirtualTimeLoop, number: int) -> None:
        case = make_case(self._seed, number, self.targets)
        outcome = simulated(self._make_run(case), clock)
        self.runs += 1
        self.operations += len(outcome.ended)
        self.hit.update(outcome.hit)
        world = outcome.world
        every = (*world.users.values(), world.claims, world.homes)
        self.fenced += sum(rows.fenced_creates for rows in every)
        for ended in outcome.ended:
            self.endings[ended.fault.name if ended.fault else "SUCCEEDED"] += 1
        self.broken = violations(outcome)
        if self.broken:
            self.failed = case

    def failure(self) -> str:
        """The failed case in words, with what it broke and how to see it again."""
        return "" if self.failed is None else told(self.failed, self.broken)

    def missing(self) -> list[tuple[str, str]]:
        """The (call, fault) pairs that never happened."""
        return [target for target in self.targets if not self.hit[target]]

    def figures(self) -> dict[str, Any]:
        """Raw figures, for the report."""
        return {
            "seed": self._seed,
            "runs": self.runs,
            "operations": self.operations,
            "seconds": self.seconds,
            "fenced": self.fenced,
            "endings": dict(self.endings.most_common()),
            "covered": len(self.targets) - len(self.missing()),
            "targets": len(self.targets),
            "hits": {f"{call} | {kind}": n for (call, kind), n in sorted(self.hit.items())},
        }


def _part(seed: int, span: tuple[int, int]) -> Campaign:
    part = Campaign(seed)
    part.run(span[1], first=span[0])
    return part
