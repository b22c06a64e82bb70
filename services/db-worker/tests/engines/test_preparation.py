"""What a database needs once is done once, whoever waits for it and gives up."""

from __future__ import annotations

import asyncio

import pytest

from nexpo_db_worker.engines.preparation import Preparation


class Work:
    """What is prepared: ends when it may, and fails when it shall."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.fails = False

    async def __call__(self) -> None:
        self.begun += 1
        await self.may_end.wait()
        if self.fails:
            raise ConnectionError


async def test_calls_at_the_same_time_share_one_run_and_later_ones_need_none() -> None:
    work = Work()
    prepared = Preparation(work)
    waiting = [asyncio.create_task(prepared()) for _ in range(3)]
    work.may_end.set()
    await asyncio.gather(*waiting)
    await prepared()
    assert work.begun == 1


async def test_who_gives_up_ends_nothing_for_the_others() -> None:
    work = Work()
    prepared = Preparation(work)
    others = asyncio.create_task(prepared())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await prepared()
    work.may_end.set()
    await others
    assert work.begun == 1


async def test_what_failed_is_tried_again_by_the_next_call() -> None:
    work = Work()
    work.may_end.set()
    work.fails = True
    prepared = Preparation(work)
    with pytest.raises(ConnectionError):
        await prepared()
    work.fails = False
    await prepared()
    assert work.begun == 2
