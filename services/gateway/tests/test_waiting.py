"""Waiting for an operation: as long as was asked, and not longer than it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_dev.pytest_plugin import TemporalAddress

from .clients import Gateway, Refused, progress_of
from .conftest import gateway_settings, ready
from .in_process import gateway_in_process


@pytest.fixture(params=["in process", "on Temporal"])
async def gateway(
    request: pytest.FixtureRequest, keys_file: Path, temporal: TemporalAddress
) -> AsyncIterator[Gateway]:
    """A gateway on each engine, whose undos soon need a human."""
    if request.param == "in process":
        async with gateway_in_process(keys_file, task_after=0.05) as gateway:
            yield gateway
    else:
        async with ready(gateway_settings(temporal.url, keys_file, task_after=0.05)) as gateway:
            yield gateway


async def test_a_wait_for_a_blocked_undo_lasts_until_its_deadline_or_the_end(
    gateway: Gateway,
) -> None:
    name = (await gateway.send(plan="blocked")).name
    async for frame in gateway.watch(name):
        if progress_of(frame).state == Progress.UNDO_BLOCKED:
            break
    began = time.monotonic()
    waited = await gateway.wait(name, seconds=0.6)
    assert time.monotonic() - began >= 0.6
    assert not waited.done
    assert progress_of(waited).state == Progress.UNDO_BLOCKED
    waiting = asyncio.create_task(gateway.wait(name, seconds=30))
    [task] = progress_of(waited).tasks
    body = {"note": "by hand"}
    await gateway.rest("POST", f"/v1/{name}/tasks/{task.task}:markDone", body)
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.reason == "EMAIL_TAKEN", "as the operation failed, and at once"
    assert time.monotonic() - began < 15


async def test_a_wait_of_no_time_shows_the_operation_as_it_is(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    began = time.monotonic()
    assert not (await gateway.wait(name, seconds=0)).done
    assert time.monotonic() - began < 5
    await gateway.parcel("SignParcel", operation=name, token="t", key="")
