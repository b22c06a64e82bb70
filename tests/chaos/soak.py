"""`make soak`: steady onboardings at 70 % of capacity while every 30 s a service is SIGKILLed."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from google.longrunning import operations_pb2

from bench.measure import resident_mib
from nexpo.client import NexpoError
from tests import figures

from . import evidence as stores
from .field import Field, open_field
from .onboarding import Onboarding

COMPLETION = 0.999
LOAD = 0.7
KILL_EVERY = 30.0
CAPACITY_SECONDS = 30.0
CAPACITY_AT_ONCE = 16
MEMORY_GROWTH = 0.10
"""How much the memory of a service may grow from life to life of equal work: a tenth."""

_SAMPLE_EVERY = 2.0
_PATIENCE = 180.0
_SETTINGS = {"PUBLIC_RATE_LIMIT": "500"}
_WARM = 40.0  # seconds of a process's life in which pools and caches fill


@dataclass
class Series:
    """What happened, by seconds since the load began; for pictures.

    Attributes:
        begun: When each onboarding was asked for.
        ended: When each ended, how long it took, and how.
        kills: When which service was killed, and when it was ready again.
        memory: When, which service, MiB resident, and which life of it.
    """

    begun: list[float] = field(default_factory=list)
    ended: list[dict[str, object]] = field(default_factory=list)
    kills: list[dict[str, object]] = field(default_factory=list)
    memory: list[dict[str, object]] = field(default_factory=list)


class Soak:
    """Load, killer and scales.

    Args:
        place: The running stack.
        say: Prints a line.
    """

    def __init__(self, place: Field, say: Callable[[str], None]) -> None:
        self._place = place
        self._say = say
        self._zero = time.monotonic()
        self._lives: dict[str, int] = dict.fromkeys(place.stack.services, 1)
        self.series = Series()
        self.unfinished: list[str] = []
        self.failed: list[str] = []

    @property
    def now(self) -> float:
        """Seconds since the load began."""
        return round(time.monotonic() - self._zero, 2)

    async def capacity(self, seconds: float) -> float:
        """Onboardings a second that CAPACITY_AT_ONCE clients get done, one after the other each."""
        ends = time.monotonic() + seconds
        done = 0

        async def client() -> None:
            nonlocal done
            while time.monotonic() < ends:
                await self._life(self._place.onboarding("capacity"))
                done += 1

        begun = time.monotonic()
        await asyncio.gather(*(client() for _ in range(CAPACITY_AT_ONCE)))
        return done / (time.monotonic() - begun)

    async def run(self, rate: float, seconds: float) -> None:
        """Begin onboardings at a steady rate, kill on the way, wait for all."""
        self._zero = time.monotonic()
        beside = [asyncio.create_task(self._kill(seconds)), asyncio.create_task(self._weigh())]
        lives: list[asyncio.Task[None]] = []
        for number in itertools.count():
            due = number / rate
            if due >= seconds:
                break
            await asyncio.sleep(max(0.0, due - self.now))
            self.series.begun.append(self.now)
            lives.append(asyncio.create_task(self._timed(self._place.onboarding("soak"))))
        await beside[0]
        await asyncio.gather(*lives)
        beside[1].cancel()

    async def _timed(self, onboarding: Onboarding) -> None:
        begun = self.now
        how = await self._life(onboarding)
        self.series.ended.append(
            {"at": self.now, "seconds": round(self.now - begun, 2), "how": how}
        )

    async def _life(self, onboarding: Onboarding) -> str:
        try:
            ended: operations_pb2.Operation = await onboarding.live()
        except (NexpoError, TimeoutError, AssertionError) as error:
            self.unfinished.append(f"{onboarding.person.request_id}: {error!r}")
            return "unfinished"
        if ended.HasField("error"):
            self.failed.append(f"{onboarding.person.request_id}: {NexpoError(ended.error)}")
            self._place.undone.add(onboarding.person)
            return "undone"
        self._place.onboarded.add(onboarding.person)
        return "onboarded"

    async def _kill(self, seconds: float) -> None:
        for number in itertools.count(1):
            if number * KILL_EVERY >= seconds:
                return
            await asyncio.sleep(max(0.0, number * KILL_EVERY - self.now))
            names = sorted(self._place.stack.services)
            name = names[(number - 1) % len(names)]
            at = self.now
            await self._place.kill(name)
            await self._place.start(name)
            self._lives[name] += 1
            self.series.kills.append({"at": at, "service": name, "ready": self.now})
            done = len(self.series.ended)
            self._say(
                f"{at:6.0f} s  SIGKILL {name:13} ready after {self.now - at:4.1f} s; "
                f"{done} of {len(self.series.begun)} done"
            )

    async def _weigh(self) -> None:
        while True:
            for name, service in self._place.stack.services.items():
                if service.running and (mib := _resident_mib(service.pid)) is not None:
                    self.series.memory.append(
                        {
                            "at": self.now,
                            "service": name,
                            "mib": mib,
                            "life": self._lives[name],
                            "begun": len(self.series.begun),
                        }
                    )
            await asyncio.sleep(_SAMPLE_EVERY)


def _resident_mib(pid: int) -> float | None:
    try:
        return round(resident_mib(pid), 1)
    except psutil.NoSuchProcess:  # killed since it was asked for
        return None


def memory_slopes(memory: Sequence[dict[str, object]]) -> dict[str, dict[str, float]]:
    """How fast each service's memory grew, over its longest life, once it was warm.

    Returns:
        By service: `mib` it had at the middle of that time, `per_hour` its growth in
        MiB an hour, `growth` from the first to the last third as a fraction, and
        `seconds` measured.
    """
    slopes = {}
    for service in sorted({str(sample["service"]) for sample in memory}):
        lives: dict[object, list[tuple[float, float]]] = {}
        for sample in memory:
            if sample["service"] == service:
                point = (float(str(sample["at"])), float(str(sample["mib"])))
                lives.setdefault(sample["life"], []).append(point)
        longest = max(lives.values(), key=lambda points: points[-1][0] - points[0][0])
        warm = [point for point in longest if point[0] >= longest[0][0] + _WARM]
        if len(warm) < 9:
            continue
        times, sizes = zip(*warm, strict=True)
        third = len(warm) // 3
        first, last = statistics.median(sizes[:third]), statistics.median(sizes[-third:])
        slopes[service] = {
            "mib": statistics.median(sizes),
            "per_hour": round(statistics.linear_regression(times, sizes).slope * 3600, 1),
            "growth": round(last / first - 1, 3),
            "seconds": round(times[-1] - times[0]),
        }
    return slopes


async def main(folder: Path, minutes: float, say: Callable[[str], None]) -> int:
    """Soaks, reports, and says what missed. Returns the exit code."""
    async with open_field(folder, _SETTINGS, proxied=()) as place:
        soak = Soak(place, say)
        capacity = await soak.capacity(min(CAPACITY_SECONDS, minutes * 60))
        rate = LOAD * capacity
        say(f"capacity {capacity:.2f} onboardings/s; load {rate:.2f}/s for {minutes:g} minutes")
        soak.unfinished.clear()
        soak.failed.clear()
        await soak.run(rate, minutes * 60)
        found = await place.evidence()
    return _judge(soak, place, found, capacity, minutes, say)


def _judge(
    soak: Soak,
    place: Field,
    found: stores.Evidence,
    capacity: float,
    minutes: float,
    say: Callable[[str], None],
) -> int:
    begun = len(soak.series.begun)
    onboarded = sum(one["how"] == "onboarded" for one in soak.series.ended)
    completion = onboarded / begun if begun else 0.0
    wrong = list(stores.tidy(found, place.onboarded, place.undone))
    for person in place.onboarded:
        wrong += stores.whole(found, person)
    for person in place.undone:
        wrong += stores.gone(found, person)
    slopes = memory_slopes(soak.series.memory)
    missed = [f"{name}: memory grew by {s['growth']:.1%}" for name, s in slopes.items()
              if s["growth"] > MEMORY_GROWTH]  # fmt: skip
    unweighed = sorted(set(place.stack.services) - set(slopes))
    if unweighed:
        missed.append(f"no life of {', '.join(unweighed)} was long enough to weigh it; soak longer")
    missed += [*wrong, *soak.unfinished]
    if completion < COMPLETION:
        missed.append(f"completion {completion:.4%} is under {COMPLETION:.1%}: {soak.failed[:5]}")
    took = sorted(float(str(one["seconds"])) for one in soak.series.ended)
    target = figures.write(
        "soak",
        f"make soak MINUTES={minutes:g}",
        {
            "minutes": minutes,
            "capacity_per_second": round(capacity, 2),
            "load_per_second": round(LOAD * capacity, 2),
            "begun": begun,
            "onboarded": onboarded,
            "completion": round(completion, 5),
            "failed": soak.failed,
            "unfinished": soak.unfinished,
            "orphans_and_duplicates": wrong,
            "kills": len(soak.series.kills),
            "seconds_p50": took[len(took) // 2] if took else None,
            "seconds_p95": took[int(len(took) * 0.95)] if took else None,
            "seconds_max": took[-1] if took else None,
            "memory": slopes,
            "missed": missed,
            "series": asdict(soak.series),
        },
    )
    say(
        f"{begun} onboardings, {onboarded} completed ({completion:.3%}), "
        f"{len(soak.series.kills)} kills, {len(wrong)} orphans, duplicates or left-overs"
    )
    for name, slope in slopes.items():
        say(
            f"  {name:13} {slope['mib']:6.1f} MiB, {slope['growth']:+.1%} "
            f"in {slope['seconds']:.0f} s of one life"
        )
    say(f"figures in {target}")
    for text in missed[:50]:
        say(f"MISSED {text}")
    return 1 if missed else 0
