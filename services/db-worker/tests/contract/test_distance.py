"""A server that is away, silent, and back is told of in time, and met again, in every engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from calls import PATIENCE_S, new_key, reason_of, recovered
from distant import Distant
from samples import SAMPLES, new_sample

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault


async def test_a_database_that_is_away_says_so_in_time_and_recovers(
    distant: Distant, tenant: str
) -> None:
    database, proxy = distant.database, distant.proxy
    fences, records = database.fences(SAMPLES), database.records(SAMPLES)
    sample = new_sample()
    await fences.create(tenant, new_key(), sample)
    proxy.cut()
    began = time.monotonic()
    calls: list[Awaitable[object]] = [
        fences.create(tenant, new_key(), new_sample()),
        fences.remove(tenant, new_key()),
        fences.erase(tenant, sample["name"]),
        records.get(tenant, sample["name"]),
        records.page(tenant, None, 10),
        records.replace(tenant, sample, ["x"]),
        database.ping(),
    ]
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, Fault), outcome
        assert outcome.reason == Reason.REASON_STORE_UNAVAILABLE
        assert outcome.metadata == {"database": database.origin.name}
        assert str(proxy.port) not in str(outcome), "the driver's text leaks"
    assert time.monotonic() - began < PATIENCE_S
    proxy.heal()
    await recovered(lambda: records.get(tenant, sample["name"]))


async def test_a_commit_whose_reply_was_lost_is_found_by_the_retry(
    distant: Distant, tenant: str
) -> None:
    database, proxy = distant.database, distant.proxy
    fences, records = database.fences(SAMPLES), database.records(SAMPLES)
    first = new_sample()
    await fences.create(tenant, new_key(), first)
    proxy.silence()
    key, sample = new_key(), new_sample()
    began = time.monotonic()
    assert await reason_of(fences.create(tenant, key, sample)) == "STORE_UNAVAILABLE"
    assert time.monotonic() - began < PATIENCE_S
    proxy.heal()
    await recovered(lambda: records.get(tenant, first["name"]))
    assert (await fences.create(tenant, key, sample)).values == sample
    assert len(await records.page(tenant, None, 1000)) == 2
