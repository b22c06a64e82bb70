"""Operations from option to answer: start, get, wait, watch, list, cancel, delete."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import uuid
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_gateway.settings import GatewaySettings

from .clients import Gateway, Refused, progress_of, result_of
from .conftest import eventually, gateway_settings, ready
from .parcels.workflow import Packing


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


async def test_an_answer_is_digested_and_a_password_hashed_before_anything_records_it(
    gateway: Gateway,
) -> None:
    name = (await gateway.send(plan="wait", password="secret-word")).name
    signed = await gateway.parcel("SignParcel", operation=name, token="t", key="")
    assert signed.token == hashlib.sha256(b"t").hexdigest()
    result = result_of(await gateway.wait(name))
    assert result.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_signals_and_queries_reach_the_operation(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    await gateway.parcel("NudgeParcel", operation=name)
    await gateway.rest("POST", f"/v1/{name}:nudgeParcel", {})
    assert (await gateway.parcel("AskParcel", operation=name)).nudges == 2
    assert (await gateway.rest("GET", f"/v1/{name}:askParcel"))["nudges"] == 2


async def test_a_workflows_own_refusal_keeps_its_reason(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    for call in (
        gateway.parcel("SignParcel", operation=name, token="", key=""),
        gateway.rest("POST", f"/v1/{name}:signParcel", {}, key=""),
    ):
        with pytest.raises(Refused) as refused:
            await call
        assert refused.value.reason == "TOKEN_WRONG"
        assert refused.value.message == "Nothing was signed."


async def test_the_same_update_is_applied_once_even_after_the_end(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    sign = {"operation": name, "token": "t", "request_id": "sign-1", "key": ""}
    first = await gateway.parcel("SignParcel", **sign)
    await gateway.wait(name)
    assert await gateway.parcel("SignParcel", **sign) == first
    with pytest.raises(Refused) as refused:
        await gateway.parcel("SignParcel", **sign | {"request_id": "sign-2"})
    assert refused.value.reason == "OPERATION_DONE"
    with pytest.raises(Refused) as refused:
        await gateway.parcel("NudgeParcel", operation=name)
    assert refused.value.reason == "OPERATION_DONE"


async def test_a_failed_operation_shows_its_error_and_wait_raises_it(gateway: Gateway) -> None:
    name = (await gateway.send(plan="fail")).name
    with pytest.raises(Refused) as refused:
        await gateway.wait(name)
    assert refused.value.reason == "EMAIL_TAKEN"
    failed = await gateway.get(name)
    assert failed.done
    assert failed.error.code == 6
    assert progress_of(failed).state == Progress.FAILED
    over_rest = await gateway.rest("GET", f"/v1/{name}")
    assert over_rest["error"]["details"][0]["reason"] == "EMAIL_TAKEN"


async def test_cancel_stops_the_operation_and_is_no_news_afterwards(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    await gateway.rest("POST", f"/v1/{name}:cancel", {})
    with pytest.raises(Refused) as refused:
        await gateway.wait(name)
    assert refused.value.reason == "OPERATION_CANCELLED"
    assert progress_of(await gateway.get(name)).state == Progress.CANCELLED
    await gateway.rest("POST", f"/v1/{name}:cancel", {})


async def test_an_operation_past_its_pivot_cannot_be_cancelled(gateway: Gateway) -> None:
    name = (await gateway.send(plan="pivot")).name
    async for frame in gateway.watch(name):
        if progress_of(frame).past_pivot:
            break
    with pytest.raises(Refused) as refused:
        await gateway.rest("POST", f"/v1/{name}:cancel", {})
    assert refused.value.reason == "OPERATION_PAST_PIVOT"
    await gateway.parcel("SignParcel", operation=name, token="t", key="")


async def test_only_an_operation_that_has_ended_can_be_deleted(gateway: Gateway) -> None:
    name = (await gateway.send(plan="wait")).name
    with pytest.raises(Refused) as refused:
        await gateway.rest("DELETE", f"/v1/{name}")
    assert refused.value.reason == "OPERATION_RUNNING"
    await gateway.parcel("SignParcel", operation=name, token="t", key="")
    await gateway.wait(name)
    assert await gateway.rest("DELETE", f"/v1/{name}") == {}

    async def gone() -> bool:
        try:
            await gateway.get(name)
        except Refused as refused:
            return refused.reason == "OPERATION_NOT_FOUND"
        return False

    await eventually(gone)


async def test_list_filters_by_type_state_and_time(gateway: Gateway) -> None:
    before = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    waiting = (await gateway.send(plan="wait")).name
    ended = (await gateway.send(plan="finish", _prefer="wait=10")).name
    kind = "nexpo.parcels.v1.SendParcel"

    async def lists(text: str, *expected: str) -> bool:
        target = f"/v1/operations?page_size=200&filter={quote(text)}"
        found = (await gateway.rest("GET", target)).get("operations", [])
        names = {operation["name"] for operation in found}
        return names & {waiting, ended} == set(expected)

    recent = f'type="{kind}" AND create_time>="{before}"'
    await eventually(lambda: lists(f"{recent} AND state=WAITING", waiting))
    await eventually(lambda: lists(f"state=SUCCEEDED AND {recent}", ended))
    assert await lists(recent, waiting, ended)
    assert await lists(f'create_time<"{before}"')
    assert await lists('type="nexpo.users.v1.OnboardUser"')


async def test_get_and_watch_show_the_attempts_of_a_running_step(
    settings: GatewaySettings,
) -> None:
    packing = Packing()
    async with ready(settings, services=[packing]) as gateway:
        name = (await gateway.send(plan="stubborn")).name
        async for frame in gateway.watch(name):
            [step] = progress_of(frame).steps or [Step()]
            if step.attempt >= 2:
                break
        assert (step.name, step.state, step.reason) == ("pack", Step.RUNNING, "STORE_UNAVAILABLE")
        [step] = progress_of(await gateway.get(name)).steps
        assert step.attempt >= 2
        packing.may_finish.set()
        [step] = progress_of(await gateway.wait(name)).steps
        assert (step.state, step.attempt >= 2) == (Step.DONE, True)


async def test_get_shows_how_far_a_step_says_it_is(settings: GatewaySettings) -> None:
    packing = Packing()
    async with ready(settings, services=[packing]) as gateway:
        name = (await gateway.send(plan="slow")).name

        async def shows_it() -> bool:
            return [step.percent for step in progress_of(await gateway.get(name)).steps] == [40]

        await eventually(shows_it)
        packing.may_finish.set()
        await gateway.wait(name)


async def test_a_blocked_undo_is_a_task_that_a_human_closes(
    temporal: TemporalAddress, keys_file: Path
) -> None:
    async with ready(gateway_settings(temporal.url, keys_file, task_after=0.1)) as gateway:
        name = (await gateway.send(plan="blocked")).name
        async for frame in gateway.watch(name):
            if progress_of(frame).state == Progress.UNDO_BLOCKED:
                break
        assert not (await gateway.wait(name, seconds=0.2)).done
        async with asyncio.timeout(90):
            tasks: list[dict[str, str]] = []
            while not tasks:
                page = await gateway.rest("GET", "/v1/operationTasks")
                tasks = [task for task in page.get("tasks", []) if task["operation"] == name]
        [task] = tasks
        done = f"/v1/{name}/tasks/{task['task']}:markDone"
        with pytest.raises(Refused) as refused:
            await gateway.rest("POST", f"/v1/{name}/tasks/no-such-task:retry", {})
        assert refused.value.reason == "TASK_NOT_FOUND"
        await gateway.rest("POST", done, {"note": "by hand"})
        with pytest.raises(Refused) as refused:
            await gateway.wait(name)
        assert refused.value.reason == "EMAIL_TAKEN"


async def test_an_operation_whose_key_is_gone_is_still_listed_and_shown(
    settings: GatewaySettings, temporal: TemporalAddress, keys_file: Path
) -> None:
    async with ready(settings) as gateway:
        name = (await gateway.send(plan="finish", _prefer="wait=10")).name
    other_key = f"k2:{base64.b64encode(b'o' * 32).decode()}"
    changed = gateway_settings(temporal.url, keys_file, encryption_keys=other_key)
    async with ready(changed) as gateway:
        shown = await gateway.get(name)
        assert (shown.done, shown.error.code) == (True, 15)
        assert "operations" in await gateway.rest("GET", "/v1/operations")
