"""What the services take: seconds to import and to be ready, memory at rest and under load."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from statistics import linear_regression, median

from nexpo_dev.service import Service
from nexpo_dev.stack import SERVICES

from .bars import Bar
from .deployed import Deployed, hiding
from .house import Repeated, house, onboard, stores
from .mail import mails
from .measure import percentile, resident_mib
from .rig import fresh_rig

_Onboard = Callable[[], Awaitable[None]]

_IMPORT = """
import bench.alone, time
cpu, wall = time.process_time(), time.perf_counter()
import {}
print(time.process_time() - cpu, time.perf_counter() - wall)
"""
_IMPORT_SECONDS = 1.5
_READY_SECONDS = 3.0
_IDLE_MIB = {"gateway": 150.0, "db-worker": 200.0, "cloud-worker": 150.0, "ai-worker": 150.0}
_PROMISED = 5000
_GROWTH_MIB = 30.0
"""How much resident memory may seem to grow over 5,000 onboardings: what an allocator's
fragmentation does in a run; a leak of 10 KiB an onboarding would be 49."""
_FEWEST = 500
"""Fewer onboardings say nothing of growth: caches and pools are still being filled."""
_WARM = 0.3
"""The first part of a run fills caches and pools; the slope is that of the rest."""


@dataclass(frozen=True)
class Load:
    """How much to measure.

    Attributes:
        onboardings: How many the memory is watched over.
        at_once: How many are under way together.
        budget_seconds: When the run ends even if it has not done all.
        repeats: How often imports and starts are timed.
        settle_seconds: How long services rest before their idle memory is read.
    """

    onboardings: int = 5000
    at_once: int = 50
    budget_seconds: float = 1200.0
    repeats: int = 5
    settle_seconds: float = 5.0


@dataclass
class Trace:
    """Memory of the services while onboardings are done.

    Attributes:
        seconds: When each sample was taken, from the beginning.
        done: How many onboardings had ended by then.
        mib: Each service's resident memory.
        latencies_ms: How long each onboarding took.
    """

    seconds: list[float] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    mib: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SERVICES})
    latencies_ms: list[float] = field(default_factory=list)

    def sample(self, began: float, pids: Mapping[str, int]) -> None:
        """Takes one."""
        self.seconds.append(round(time.perf_counter() - began, 2))
        self.done.append(len(self.latencies_ms))
        for name, series in self.mib.items():
            series.append(round(resident_mib(pids[name]), 2))

    def growth(self, name: str) -> float:
        """MiB that 5,000 onboardings add at the slope of the run after its warm-up."""
        first = next(i for i, done in enumerate(self.done) if done >= _WARM * self.done[-1])
        done, mib = self.done[first:], self.mib[name][first:]
        if len(set(done)) < 2:
            return 0.0
        return linear_regression(done, mib).slope * _PROMISED


async def measure(load: Load) -> tuple[list[Bar], dict[str, object]]:
    """Measures imports, start, idle memory and memory under load."""
    imports = {name: _import_seconds(name, load.repeats) for name in SERVICES}
    repeated = Repeated()
    async with mails() as mail, stores() as stack, fresh_rig() as rig:
        ready = await _ready_seconds(
            Deployed("gateway", rig.folder / "gateway"), load, rig.settings
        )
        async with house(stack, rig, mail) as (client, pids):
            await asyncio.sleep(load.settle_seconds)
            idle = {name: resident_mib(pids[name]) for name in SERVICES}
            trace = Trace()
            await _load(lambda: onboard(client, mail, repeated), trace, load, pids)
    raw: dict[str, object] = {
        "load": load.__dict__,
        "import_seconds": imports,
        "gateway_ready_seconds": ready,
        "idle_mib": {name: round(value, 1) for name, value in idle.items()},
        "trace": {**trace.__dict__, "latencies_ms": sorted(trace.latencies_ms)},
        "calls_repeated": repeated.__dict__,
        "growth_mib_over_5000": {name: round(trace.growth(name), 2) for name in SERVICES},
    }
    return _bars(imports, ready, idle, trace, load), raw


def _import_seconds(service: str, repeats: int) -> list[list[float]]:
    """CPU and wall seconds of each run."""
    module = f"nexpo_{service.replace('-', '_')}.__main__"
    command = [sys.executable, "-c", _IMPORT.format(module)]
    seen = {**os.environ, **hiding(service)}
    runs = [
        subprocess.run(command, capture_output=True, check=True, env=seen) for _ in range(repeats)
    ]
    return [[round(float(seconds), 3) for seconds in run.stdout.split()] for run in runs]


async def _ready_seconds(gateway: Service, load: Load, settings: Mapping[str, str]) -> list[float]:
    gateway.settings = settings
    times = []
    for _ in range(load.repeats):
        began = time.perf_counter()
        await gateway.start()
        times.append(round(time.perf_counter() - began, 3))
        await gateway.stop()
    return times


async def _load(call: _Onboard, trace: Trace, load: Load, pids: Mapping[str, int]) -> None:
    """Onboards until all is done or the time is over; samples every second."""
    began = time.perf_counter()
    numbers = iter(range(load.onboardings))

    async def caller() -> None:
        for _ in numbers:
            if time.perf_counter() - began > load.budget_seconds:
                return
            started = time.perf_counter()
            await call()
            trace.latencies_ms.append((time.perf_counter() - started) * 1000)

    async def sampler() -> None:
        while True:
            trace.sample(began, pids)
            await asyncio.sleep(1)

    sampling = asyncio.create_task(sampler())
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(load.at_once):
                group.create_task(caller())
    finally:
        sampling.cancel()
    trace.sample(began, pids)


def _bars(
    imports: Mapping[str, list[list[float]]],
    ready: list[float],
    idle: Mapping[str, float],
    trace: Trace,
    load: Load,
) -> list[Bar]:
    # An import does nothing but compute: its CPU is what it takes where nobody else computes.
    taken = {name: median(cpu for cpu, _ in runs) for name, runs in imports.items()}
    slowest = max(taken, key=lambda name: taken[name])
    wall = median(wall for _, wall in imports[slowest])
    p50 = percentile(sorted(trace.latencies_ms), 50)
    done = trace.done[-1]
    return [
        Bar(
            f"import of the slowest service, {slowest}",
            taken[slowest],
            _IMPORT_SECONDS,
            "at most",
            " s",
            f"CPU; {wall:.2f} s on the clock of this machine as busy as it was",
        ),
        Bar("gateway ready after its start", median(ready), _READY_SECONDS, "at most", " s"),
        *(
            Bar(f"idle memory of {name}", value, _IDLE_MIB[name], "at most", " MiB")
            for name, value in idle.items()
        ),
        # A machine so slow that nothing can be said of growth has not shown that there is none.
        Bar(
            "onboardings over which memory was watched",
            done,
            min(_FEWEST, load.onboardings),
            "at least",
        ),
        *(
            Bar(
                f"growth of {name} over 5,000 onboardings",
                trace.growth(name),
                _GROWTH_MIB,
                "at most",
                " MiB",
                f"slope over {done} onboardings after the first {_WARM:.0%}; p50 {p50:.0f} ms",
            )
            for name in SERVICES
            if done >= _FEWEST
        ),
    ]
