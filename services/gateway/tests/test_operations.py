"""Operations from option to answer: start, get, wait, watch, list, cancel, delete."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from nexpo.operations.v1.operations_pb2 import Progress

from .clients import Gateway, Refused, progress_of, result_of


async def test_an_rpc_never_seen_before_runs_from_start_to_result(gateway: Gateway) -> None:
    started = await gateway.send(email="a@b.example", plan="finish")
    assert started.name.startswith("operations/acme~nexpo.parcels.v1.SendParcel~")
    assert not started.done
    assert progress_of(started).state == Progress.RUNNING
    ended = await gateway.wait(started.name)
    assert ended.done
    assert result_of(ended).email == "a@b.example"
    assert progress_of(ended).state == Progress.SUCCEEDED
    assert [step.name for step in progress_of(ended).steps] == ["pack"]
    assert (await gateway.get(started.name)).response == ended.response


async def test_execute_waits_for_the_result_and_returns_a_failure_as_the_calls_status(
    gateway: Gateway,
) -> None:
    done = await gateway.send(email="a@b.example", plan="finish", _prefer="wait=10")
    assert done.done
    assert gateway.trailers["preference-applied"] == "wait=10"
    with pytest.raises(Refused) as failed:
        await gateway.send(plan="fail", _prefer="respond-async, wait=10")
    assert (failed.value.reason, failed.value.fields) == ("EMAIL_TAKEN", ("email",))
    assert failed.value.retry_after == 7
    waiting = await gateway.send(plan="wait", _prefer="wait=1")
    assert not waiting.done


async def test_watch_shows_every_state_to_two_watchers_and_ends(gateway: Gateway) -> None:
    started = await gateway.send(plan="wait")

    async def states() -> list[str]:
        return [
            Progress.State.Name(progress_of(frame).state)
            async for frame in gateway.watch(started.name)
        ]

    watchers = [asyncio.create_task(states()) for _ in range(2)]
    async for frame in gateway.watch(started.name):
        if progress_of(frame).state == Progress.WAITING:
            break
    await gateway.parcel("SignParcel", operation=started.name, token="t", key="")
    for seen in await asyncio.gather(*watchers):
        assert seen[-1] == "SUCCEEDED"
        assert seen.count("SUCCEEDED") == 1
    [only] = [frame async for frame in gateway.watch(started.name)]
    assert only.done


async def test_the_same_request_id_is_the_same_operation(gateway: Gateway) -> None:
    request_id = uuid.uuid4().hex
    fields = {"email": "A@B.example", "password": "secret-word", "plan": "finish"}
    names = {
        (await gateway.send(request_id=request_id, **fields)).name,
        (await gateway.send(request_id=request_id, **fields | {"email": "a@b.example"})).name,
    }
    await gateway.wait(names.copy().pop())
    again = await gateway.send(request_id=request_id, **fields)
    assert {again.name} == names
    assert again.done
