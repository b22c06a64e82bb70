"""The onboarding in the house against the same steps on the bare SDK, DBOS beside them."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from temporalio.client import WorkflowUpdateFailedError

from nexpo.users.v1.users_pb2 import VerifyEmailRequest
from nexpo_dev.service import Service
from nexpo_dev.stack import SERVICES, Stack
from nexpo_gateway.calls.protection import Protection
from nexpo_gateway.processes.mail.activities import digest

from .bare.onboarding import FLOW, PROGRESS, BareOnboarding
from .bare.polling import bare_client
from .bars import TOLERANCE, Bar, Figure, Measurement
from .house import (
    READING_SECONDS,
    STORES,
    Repeated,
    house,
    house_settings,
    new_person,
    onboard,
    onboarding,
    store_pids,
    stores,
)
from .machine import ROOT
from .mail import Mails, mails
from .measure import CLIENT, Batch, Meter, drive
from .pairs import Pairs, Phases, interleaved, typical, typical_cpu
from .rig import TENANT, Plain, Rig, fresh_rig

_WARM_UP = 20
_CPU = 0.75
"""The house takes calls at a gateway and shows its progress, and bare does neither. Runs found
0.80 to 0.91 of bare's CPU and 0.79 to 0.93 of its throughput: what is below is a regression."""
_RATE = 0.78
_CPU_SHOWN = 0.95
"""Where bare shows its progress as well, the house must hardly cost more."""
_ROLES = {"flow": "gateway", "data": "db-worker", "cloud": "cloud-worker", "ai": "ai-worker"}
"""The bare worker that does what a service of the house does."""


@dataclass(frozen=True)
class Load:
    """How much to measure.

    Attributes:
        onboardings: In one batch.
        at_once: How many are under way together.
    """

    onboardings: int = 120
    at_once: int = 50


class Role(Plain):
    """One worker of the bare onboarding."""

    def __init__(self, role: str, folder: Path) -> None:
        super().__init__(_ROLES[role], "bench.bare.onboarding_worker", folder)
        self._role = role

    def command(self) -> Sequence[str | Path]:
        """python -m bench.bare.onboarding_worker role."""
        return [*super().command(), self._role]


async def measure(pairs: int, load: Load) -> tuple[list[Figure], dict[str, object]]:
    """Runs the pairs and what is shown beside them; returns all figures, and the raw ones."""
    repeated = Repeated()
    async with mails() as mail, stores() as stack:

        async def ours() -> Phases:
            async with fresh_rig() as rig, house(stack, rig, mail) as (client, pids):

                async def call(number: int) -> None:
                    await onboard(client, mail, repeated)

                await drive(call, _WARM_UP, load.at_once, {})
                return {"": await drive(call, load.onboardings, load.at_once, pids)}

        async def bare(encrypted: bool = True, shown: bool = False) -> Phases:
            async with fresh_rig(encrypted) as rig:
                return {"": await _bare(stack, rig, mail, repeated, load, shown)}

        both = (await interleaved(pairs, ours, bare))[""]
        shown = (await bare(shown=True))[""]
        naked = (await bare(encrypted=False))[""]
        dbos = await _dbos(stack, mail, load)
    hashing = await _hashing_ms()
    raw: dict[str, object] = {
        **both.as_dict(),
        "bare with progress": shown.as_dict(),
        "bare without codec and tracing": naked.as_dict(),
        "dbos": dbos.as_dict() if dbos else "not installed",
        "load": {**load.__dict__, "stores": STORES, "reading_seconds": READING_SECONDS},
        "password_hashing_cpu_ms": round(hashing, 2),
        "password_hashing": "inside every figure: each arm hashes once, by the same code",
        "calls_repeated": repeated.__dict__,
        "cpu_ms_by_process": {
            "ours": _rounded(typical_cpu(both.ours)),
            "bare": _rounded(typical_cpu(both.bare)),
        },
    }
    return [*_bars(both, shown, hashing), *_beside(both, naked, dbos)], raw


async def _bare(
    stack: Stack, rig: Rig, mail: Mails, repeated: Repeated, load: Load, shown: bool
) -> Batch:
    roles = [Role(role, rig.folder / role) for role in _ROLES]
    services = {name: Service(name, rig.folder / f"settings-{name}") for name in SERVICES}
    settings = house_settings(stack, rig, services, mail)
    for role in roles:
        role.settings = settings[role.name]
    async with rig.running(*roles) as pids:
        keys = settings["gateway"].get("ENCRYPTION_KEYS", "")
        client = await bare_client(rig.temporal.url, keys)
        protection = Protection(settings["gateway"]["SERVICE_KEY"].encode())

        async def call(number: int) -> None:
            request = onboarding(new_person())
            email, request_id = request.email, request.request_id
            arrived = mail.expect(email)
            await protection.apply(request, tenant=TENANT, request_id=request_id)
            handle = await client.start_workflow(
                BareOnboarding.run,
                request,
                id=f"{TENANT}/{request_id}",
                task_queue=FLOW,
                memo={PROGRESS: ""} if shown else None,
            )
            token = digest(await arrived)
            mail.forget(email)
            while True:
                await asyncio.sleep(READING_SECONDS)
                try:
                    verify = VerifyEmailRequest(token_digest=token, request_id=uuid.uuid4().hex)
                    await handle.execute_update(BareOnboarding.verify_email, verify)
                    break
                except WorkflowUpdateFailedError:
                    repeated.early_clicks += 1
            await handle.result()

        await drive(call, _WARM_UP, load.at_once, {})
        return await drive(call, load.onboardings, load.at_once, {**pids, **store_pids(stack)})


async def _dbos(stack: Stack, mail: Mails, load: Load) -> Batch | None:
    """DBOS with the same writes; None when it is not installed."""
    if importlib.util.find_spec("dbos") is None:
        return None
    url = await _database(stack, f"dbos_{uuid.uuid4().hex[:8]}")
    async with fresh_rig(encrypted=False) as rig:
        services = {name: Service(name, rig.folder / f"settings-{name}") for name in SERVICES}
        merged: dict[str, str] = {"PYTHONPATH": str(ROOT)}
        for settings in house_settings(stack, rig, services, mail).values():
            merged |= settings
        arguments = [url, str(load.onboardings), str(load.at_once)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.bare.dbos_onboarding", *arguments),
            env=merged,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            return await _dbos_batch(process, process.stdout, store_pids(stack), load)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _dbos_batch(
    process: asyncio.subprocess.Process,
    output: asyncio.StreamReader,
    pids: Mapping[str, int],
    load: Load,
) -> Batch:
    while (line := await output.readline()).strip() != b"WARM":
        if not line:
            raise RuntimeError("the process with DBOS ended too early")
    meter = Meter({**pids, "dbos": process.pid})
    # Its process lives on until it has printed the figures, so its CPU can be read before.
    reading = asyncio.create_task(output.readline())
    used = meter.since()
    while not reading.done():
        used = meter.since()
        await asyncio.wait({reading}, timeout=0.1)
    found = json.loads(reading.result())
    cpu = {name: value * 1000 / load.onboardings for name, value in used.items() if name != CLIENT}
    return Batch(load.onboardings, found["seconds"], cpu, found["latencies_ms"])


async def _database(stack: Stack, name: str) -> str:
    """A new database on the authority's server."""
    url = stack.servers.postgres.url
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return f"{url.rpartition('/')[0]}/{name}"


async def _hashing_ms() -> float:
    """CPU of hashing one password, in milliseconds."""
    protection, began, rounds = Protection(b"bench"), time.process_time(), 10
    for _ in range(rounds):
        await protection.apply(onboarding("a@example.com"), tenant=TENANT, request_id="r")
    return (time.process_time() - began) * 1000 / rounds


def _bars(both: Pairs, shown: Batch, hashing: float) -> list[Bar]:
    cpu = 1 / both.ratio(lambda batch: batch.total_cpu_ms)
    rate = both.ratio(lambda batch: batch.rate)
    ours, bare = typical_cpu(both.ours), typical_cpu(both.bare)
    costs = ", ".join(
        f"{name} {ours[name]:.1f} (bare {bare.get(name, 0):.1f})" for name in sorted(ours)
    )
    note = (
        f"CPU ms by process: {costs}; in both {hashing:.0f} ms of hashing the password;"
        f" bare and showing its progress {shown.total_cpu_ms:.0f},"
        f" without {typical(both.bare, _cpu):.0f}"
    )
    return [
        Bar("onboarding, three stores: bare CPU over ours", cpu, _CPU, "at least", note=note),
        Bar(
            "onboarding, three stores: CPU of bare with progress over ours",
            shown.total_cpu_ms / typical(both.ours, _cpu),
            _CPU_SHOWN,
            "at least",
            note="both show each step to Get, List and Watch; one batch of bare with progress",
        ),
        Bar(
            "onboarding, three stores: throughput over bare",
            rate,
            _RATE - TOLERANCE,
            "at least",
            note=f"{_RATE} with a tolerance of {TOLERANCE}",
        ),
    ]


def _beside(both: Pairs, naked: Batch, dbos: Batch | None) -> list[Measurement]:
    ours = typical(both.ours, _cpu)
    times = (
        typical(both.ours, lambda b: b.percentile(50)),
        typical(both.bare, lambda b: b.percentile(50)),
    )
    found = [
        Measurement("onboarding, half are done within", times[0] / 1000, " s"),
        Measurement("onboarding, half are done within, bare", times[1] / 1000, " s"),
        Measurement(
            "onboarding: CPU of bare without codec and tracing over ours",
            naked.total_cpu_ms / ours,
            note="what encryption and traces cost is in this one",
        ),
    ]
    if dbos is not None:
        name = "onboarding: CPU of DBOS over ours"
        note = "without undo, encryption and a server of its own beside PostgreSQL"
        found.append(Measurement(name, dbos.total_cpu_ms / ours, note=note))
    return found


def _cpu(batch: Batch) -> float:
    return batch.total_cpu_ms


def _rounded(cpu: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in cpu.items()}
