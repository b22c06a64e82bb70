"""A saga's steps: two of one name, one that runs twice or never, an undo without a key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from nexpo.cloud.v1.cloud_pb2 import CreateHomeRequest, CreateHomeResponse, RemoveHomeRequest
from nexpo.cloud.v1.cloud_temporal import cloud_activities as cloud
from nexpo.contract import Call, WorkflowContract
from nexpo.health.v1.health_pb2 import CheckHealthRequest, ProbeRequest, ProbeResponse
from nexpo.health.v1.health_temporal import probe_activities
from nexpo_runtime.errors import ContractError, Fault
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.local_engine import Attempt, LocalOperation
from nexpo_runtime.workflow.operation import Operation, operation
from nexpo_runtime.workflow.saga import Saga, step_key
from nexpo_runtime.workflow.virtual_time import VirtualTimeLoop

Body = Callable[[Operation[Any, Any]], Awaitable[None]]
CONTRACT: WorkflowContract[Any] = WorkflowContract(
    "sample.v1.Steps", "sample", CheckHealthRequest, ProbeResponse, timedelta(minutes=1)
)


BODY: ContextVar[Body] = ContextVar("body")


@operation(CONTRACT)
class Mistaken(Operation[CheckHealthRequest, ProbeResponse]):
    """Does what the test says."""

    async def execute(self, request: CheckHealthRequest) -> ProbeResponse:
        await BODY.get()(self)
        return ProbeResponse()


def create() -> Call[Any]:
    return cloud.create_home(CreateHomeRequest(user_id="u"))


def remove() -> Call[Any]:
    return cloud.remove_home(RemoveHomeRequest(user_id="u"))


def mistake(body: Body) -> tuple[str, list[str]]:
    """What an operation with this body ends with, and the calls that it made."""
    calls: list[str] = []

    async def attempt(made: Attempt) -> Message:
        calls.append(made.name)
        response: type[Message] = made.call.activity.response
        return response()

    async def run() -> str:
        BODY.set(body)
        request = CheckHealthRequest()
        end = LocalOperation(Mistaken, request, "acme/sample.v1.Steps/1", "run", attempt).start()
        with pytest.raises(Fault) as ended:
            await end
        assert ended.value.name == "INTERNAL"
        assert isinstance(ended.value.__cause__, ContractError)
        return str(ended.value.__cause__)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run()), calls


def within(body: Callable[[Saga], Awaitable[None]]) -> Body:
    """The body of one saga."""

    async def whole(operation: Operation[Any, Any]) -> None:
        async with operation.saga() as saga:
            await body(saga)

    return whole


def test_a_second_step_of_one_name_is_refused_and_the_first_is_undone() -> None:
    async def transfer(saga: Saga) -> None:
        await saga.step("book", create(), undo=remove())
        await saga.step("book", create(), undo=remove())

    said, calls = mistake(within(transfer))

    assert "Two steps of the operation have the name 'book'" in said
    assert calls == ["book", "undo book"]


def test_also_in_parallel_and_then_neither_runs() -> None:
    async def transfer(saga: Saga) -> None:
        await saga.all(saga.step("book", create()) for _ in range(2))

    said, calls = mistake(within(transfer))

    assert "have the name 'book'" in said
    assert calls == []


def test_also_in_another_saga_of_the_operation_whose_key_is_the_same() -> None:
    async def twice(operation: Operation[Any, Any]) -> None:
        for _ in range(2):
            async with operation.saga() as saga:
                await saga.step("book", create())

    said, calls = mistake(twice)

    assert "have the name 'book'" in said
    assert calls == ["book"]


def test_a_step_that_is_awaited_twice_is_refused() -> None:
    async def again(saga: Saga) -> None:
        step = saga.step("book", create(), undo=remove())
        await step
        await step

    said, calls = mistake(within(again))

    assert "'book' is run a second time" in said
    assert calls == ["book", "undo book"]


def test_a_step_that_is_never_awaited_is_told_at_the_end_and_all_is_undone() -> None:
    async def forgetful(saga: Saga) -> None:
        await saga.step("debit", create(), undo=remove())
        saga.step("credit", create())

    said, calls = mistake(within(forgetful))

    assert said.startswith("Described and never run: 'credit'. Await each")
    assert calls == ["debit", "undo debit"]


def test_a_saga_that_ends_asks_nothing_of_the_steps_of_another() -> None:
    async def nested(operation: Operation[Any, Any]) -> None:
        async with operation.saga() as outer:
            later = outer.step("later", create())
            async with operation.saga() as inner:
                await inner.step("first", create())
            await later

    assert keys_of(nested) == ["acme/sample.v1.Steps/1/first", "acme/sample.v1.Steps/1/later"]


def test_a_saga_that_fails_tells_its_own_fault_and_not_what_it_did_not_reach() -> None:
    async def fails(saga: Saga) -> None:
        saga.step("credit", create())
        raise ContractError("of its own")

    assert mistake(within(fails))[0] == "of its own"


def test_a_step_without_a_name_is_refused() -> None:
    async def nameless(saga: Saga) -> None:
        await saga.step("", create())

    assert "has no name" in mistake(within(nameless))[0]


@pytest.mark.parametrize("keyless", ["do", "undo"])
def test_an_undo_without_a_key_is_refused_before_the_step_runs(keyless: str) -> None:
    probe = probe_activities.probe(ProbeRequest())

    async def reckless(saga: Saga) -> None:
        if keyless == "do":
            await saga.step("make", probe, undo=remove())
        else:
            await saga.step("make", create(), undo=probe)

    said, calls = mistake(within(reckless))

    assert "nexpo.health.v1.ProbeRequest has no field for the step's key" in said
    assert calls == []


def test_a_call_outside_a_saga_that_has_no_key_is_refused() -> None:
    async def loose(operation: Operation[Any, Any]) -> None:
        await flow.call(create(), "make")

    said, calls = mistake(loose)

    assert "nexpo.cloud.v1.CreateHome is called outside a saga" in said
    assert calls == []


def keys_of(body: Body, workflow: str = "1") -> list[str]:
    """The keys that an operation with this body hands to its activities, sorted."""
    keys: list[str] = []

    async def attempt(made: Attempt) -> Message:
        assert isinstance(made.call.request, CreateHomeRequest)
        keys.append(made.call.request.key)
        return CreateHomeResponse()

    async def run() -> None:
        BODY.set(body)
        name = f"acme/sample.v1.Steps/{workflow}"
        await LocalOperation(Mistaken, CheckHealthRequest(), name, "run", attempt).start()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
    return sorted(keys)


def test_steps_that_share_a_request_have_a_key_each() -> None:
    async def both(saga: Saga) -> None:
        shared = create()
        await saga.all([saga.step("debit", shared), saga.step("credit", shared)])

    assert keys_of(within(both)) == [
        "acme/sample.v1.Steps/1/credit",
        "acme/sample.v1.Steps/1/debit",
    ]


def test_a_step_that_can_be_left_out_has_its_key_too() -> None:
    async def greeted(saga: Saga) -> None:
        await saga.optional(saga.step("greet", create()))

    assert keys_of(within(greeted)) == ["acme/sample.v1.Steps/1/greet"]


def test_a_step_that_ends_anothers_effect_is_called_with_the_others_key() -> None:
    async def ending(saga: Saga) -> None:
        await saga.step("end", cloud.create_home(CreateHomeRequest(key=step_key("begin"))))

    assert keys_of(within(ending)) == ["acme/sample.v1.Steps/1/begin"]


def test_no_name_of_a_step_makes_a_key_of_another_operation_or_step() -> None:
    def one(name: str) -> Body:
        async def only(saga: Saga) -> None:
            await saga.step(name, create())

        return within(only)

    keys = [*keys_of(one("2/pay")), *keys_of(one("2%2Fpay")), *keys_of(one("pay"), "1/2")]
    assert len(set(keys)) == 3


def test_the_log_says_what_the_caller_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async def nameless(saga: Saga) -> None:
        await saga.step("", create())

    with caplog.at_level(logging.ERROR):
        mistake(within(nameless))

    assert "operation failed by a bug: A step has no name" in caplog.text
