"""One batch: how many calls, how long each took, and what CPU which process used."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import psutil

Call = Callable[[int], Awaitable[None]]
"""Makes the operation of this number."""

CLIENT = "client"
"""The load generator: the process that measures."""


@dataclass(frozen=True)
class Batch:
    """What was measured while a number of calls ran.

    Attributes:
        calls: How many calls there were.
        seconds: From the first call's start to the last one's end.
        cpu_ms: CPU per call, in milliseconds, by process.
        latencies_ms: How long each call took, sorted.
    """

    calls: int
    seconds: float
    cpu_ms: dict[str, float]
    latencies_ms: list[float] = field(repr=False)

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    @property
    def total_cpu_ms(self) -> float:
        """CPU per call of everything that was measured."""
        return sum(self.cpu_ms.values())

    def percentile(self, percent: float) -> float:
        """Latency in milliseconds that so many percent of the calls stayed under."""
        return percentile(self.latencies_ms, percent)

    def as_dict(self) -> dict[str, object]:
        """For the raw figures."""
        cpu = {name: round(value, 3) for name, value in self.cpu_ms.items()}
        latencies = [round(value, 2) for value in self.latencies_ms]
        return {
            **asdict(self),
            "rate": round(self.rate, 2),
            "seconds": round(self.seconds, 3),
            "cpu_ms": cpu,
            "total_cpu_ms": round(self.total_cpu_ms, 3),
            "latencies_ms": latencies,
        }


def percentile(ordered: list[float], percent: float) -> float:
    """The value at this percent of a sorted list, by the nearest rank; NaN of an empty one."""
    if not ordered:
        return float("nan")
    rank = min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered)) - 1))
    return ordered[rank]


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches of the same processes as one."""
    calls = sum(batch.calls for batch in batches)
    return Batch(
        calls,
        sum(batch.seconds for batch in batches),
        {
            name: sum(batch.cpu_ms[name] * batch.calls for batch in batches) / calls
            for name in batches[0].cpu_ms
        },
        sorted(value for batch in batches for value in batch.latencies_ms),
    )


class Meter:
    """CPU of processes with all that they started, and of this one.

    Args:
        pids: Process ids by the name to show.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = {**pids, CLIENT: os.getpid()}
        self._began = self.seconds()

    def seconds(self) -> dict[str, float]:
        """CPU seconds that each has used since its start."""
        return {
            name: _own(psutil.Process(pid)) if name == CLIENT else _tree(pid)
            for name, pid in self._pids.items()
        }

    def since(self) -> dict[str, float]:
        """CPU seconds that each has used since this meter was made."""
        now = self.seconds()
        return {name: now[name] - self._began[name] for name in now}


def resident_mib(pid: int) -> float:
    """Resident memory of one process, in MiB, shared pages included."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def _tree(pid: int) -> float:
    """Of the process, the children that live, and those it has waited for."""
    process = psutil.Process(pid)
    return sum(map(_with_reaped, [process, *process.children(recursive=True)]))


def _own(process: psutil.Process) -> float:
    # What the load generator has started is measured under its own name, or not at all.
    times = process.cpu_times()
    return float(times.user + times.system)


def _with_reaped(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # ended since it was listed
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


async def drive(call: Call, calls: int, at_once: int, pids: Mapping[str, int]) -> Batch:
    """Makes calls, so many at once, each as soon as an earlier one has ended.

    Args:
        call: Makes one.
        calls: How many to make.
        at_once: How many may be under way.
        pids: The processes that work for them, by name.

    Raises:
        ExceptionGroup: A call failed; a batch with failures measures nothing.
    """
    numbers: Iterable[int] = iter(range(calls))
    latencies: list[float] = []

    async def caller() -> None:
        for number in numbers:
            began = time.perf_counter()
            await call(number)
            latencies.append((time.perf_counter() - began) * 1000)

    meter, began = Meter(pids), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, calls)):
            group.create_task(caller())
    seconds = time.perf_counter() - began
    cpu = {name: used * 1000 / calls for name, used in meter.since().items()}
    return Batch(calls, seconds, cpu, sorted(latencies))
