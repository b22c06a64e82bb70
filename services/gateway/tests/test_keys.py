"""A key means one call: on gRPC and REST, on Temporal and in process."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict

from nexpo.operations.v1.operations_pb2 import (
    MarkOperationTaskDoneRequest,
    MarkOperationTaskDoneResponse,
)
from nexpo_dev.pytest_plugin import TemporalAddress

from .clients import Gateway, Refused
from .conftest import eventually, gateway_settings, running, write_keys

_VERBS = {"SendParcel": "send", "ReturnParcel": "return", "KeepParcel": "keep"}
pytestmark = pytest.mark.asyncio(loop_scope="module")
Reach = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


@dataclass(frozen=True)
class Surface:
    """One surface of a gateway; answers are as JSON has them."""

    gateway: Gateway
    name: str

    async def call(self, method: str, **fields: Any) -> dict[str, Any]:
        """Calls a method of ParcelService. Raises: Refused."""
        if self.name == "grpc":
            answer = await self.gateway.parcel(method, **fields)
            return MessageToDict(answer, always_print_fields_with_no_presence=True)
        operation = fields.pop("operation", "")
        verb = _VERBS.get(method)
        if method == "AskParcel":
            return dict(await self.gateway.rest("GET", f"/v1/{operation}:askParcel"))
        reached = f"/v1/{operation}:{method[0].lower()}{method[1:]}"
        target = f"/v1/parcels:{verb}" if verb else reached
        return dict(await self.gateway.rest("POST", target, fields))

    async def begin(self, **fields: Any) -> Reach:
        """Begins a parcel that waits; gives what makes calls to it."""
        name = (await self.call("SendParcel", plan="wait", **fields))["name"]

        async def call(method: str, **fields: Any) -> dict[str, Any]:
            return await self.call(method, operation=name, **fields)

        return call


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["temporal", "in process"])
async def gateway(
    request: pytest.FixtureRequest,
    temporal: TemporalAddress,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Gateway]:
    keys = write_keys(tmp_path_factory.mktemp("keys") / "keys.json")
    durable = request.param == "temporal"
    settings = gateway_settings(temporal.url, keys, enable_temporal=durable)
    async with running(settings) as (gateway, started):
        await eventually(lambda: started.health.ready)
        yield gateway


@pytest.fixture(params=["grpc", "rest"])
def surface(request: pytest.FixtureRequest, gateway: Gateway) -> Surface:
    return Surface(gateway, request.param)


async def refusal(call: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as refused:
        await call
    return refused.value


async def require_reused(call: Awaitable[object], *fields: str) -> None:
    """The key stands for another call, and the fault names what differs."""
    refused = await refusal(call)
    assert (refused.reason, refused.fields) == ("REQUEST_ID_REUSED", fields)


def new_key() -> str:
    return uuid.uuid4().hex


# Starts: the tenant's.


async def test_a_key_starts_one_call_whatever_the_method(surface: Surface) -> None:
    key = new_key()
    first = await surface.call("SendParcel", request_id=key, plan="wait")
    await require_reused(surface.call("ReturnParcel", request_id=key, plan="wait"), "method")
    await require_reused(
        surface.call("SendParcel", request_id=key, plan="wait", address={"city": "Bern"}),
        "address",
    )
    again = await surface.call("SendParcel", request_id=key, plan="wait")
    assert again["name"] == first["name"]


async def test_a_start_under_a_used_key_names_fields_and_never_values(surface: Surface) -> None:
    key = new_key()
    fields = {"request_id": key, "plan": "wait", "address": {"city": "Bern", "street": "A"}}
    await surface.call("SendParcel", email="alpha@b.example", password="alpha-alpha", **fields)
    fields["address"] = {"city": "Bern", "street": "B"}
    refused = await refusal(
        surface.call("SendParcel", email="omega@b.example", password="omega-omega", **fields)
    )
    assert refused.fields == ("address.street", "email", "password")
    assert not any(word in refused.raw for word in ("alpha", "omega"))


async def test_of_concurrent_starts_with_one_key_one_call_wins(surface: Surface) -> None:
    key = new_key()
    outcomes = await asyncio.gather(
        *(
            surface.call(method, request_id=key, plan="wait")
            for method in ("SendParcel", "ReturnParcel") * 4
        ),
        return_exceptions=True,
    )
    names = [outcome["name"] for outcome in outcomes if isinstance(outcome, dict)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert (len(names), len(set(names)), len(refused)) == (4, 1, 4)
    assert {(other.reason, other.fields) for other in refused} == {
        ("REQUEST_ID_REUSED", ("method",))
    }


async def test_another_tenant_may_use_the_same_key(gateway: Gateway) -> None:
    key = new_key()
    mine = await gateway.parcel("SendParcel", request_id=key, plan="wait")
    other = await gateway.parcel("ReturnParcel", request_id=key, plan="wait", key="other-key")
    assert mine.name != other.name


async def test_a_start_named_by_a_resource_never_meets_one_named_by_a_key(
    surface: Surface,
) -> None:
    text = new_key()
    kept = await surface.call("KeepParcel", depot=text, request_id="a", plan="wait")
    sent = await surface.call("SendParcel", request_id=text, plan="wait")
    assert kept["name"] != sent["name"]
    again = await surface.call("KeepParcel", depot=text, request_id="b", plan="wait")
    assert again["name"] == kept["name"]
    await require_reused(surface.call("KeepParcel", depot=text, plan="finish"), "plan")


# Updates and signals: the operation's.


async def test_the_same_update_again_is_not_done_again(surface: Surface) -> None:
    call = await surface.begin()
    key = new_key()
    answers = [await call("WeighParcel", request_id=key) for _ in range(3)]
    assert answers == [{"times": 1}] * 3
    assert (await call("WeighParcel", request_id=new_key()))["times"] == 2


async def test_an_update_with_a_used_key_names_what_differs(surface: Surface) -> None:
    call = await surface.begin()
    key = new_key()
    at = {"city": "Bern", "street": "A"}
    await call("WeighParcel", request_id=key, secret="alpha-alpha", at=at)
    await require_reused(call("SignParcel", request_id=key, token="t"), "method")
    await require_reused(call("NudgeParcel", request_id=key), "method")
    refused = await refusal(
        call("WeighParcel", request_id=key, secret="omega-omega", at={**at, "street": "B"})
    )
    assert (refused.reason, refused.fields) == ("REQUEST_ID_REUSED", ("at.street", "secret"))
    assert not any(word in refused.raw for word in ("alpha", "omega"))
    again = await call("WeighParcel", request_id=key, secret="alpha-alpha", at=at)
    assert again["times"] == 1


async def test_a_failed_update_fails_again_and_is_not_done_again(surface: Surface) -> None:
    call = await surface.begin()
    key = new_key()
    for _ in range(2):
        refused = await refusal(call("WeighParcel", request_id=key, how="fail"))
        assert (refused.reason, refused.message) == ("TOKEN_WRONG", "The scales are broken.")
        assert refused.fields == ("how",)
    await require_reused(call("WeighParcel", request_id=key), "how")
    assert (await call("AskParcel"))["weighed"] == 1


async def test_a_key_whose_call_was_refused_is_free(surface: Surface) -> None:
    call = await surface.begin()
    key = new_key()
    refused = await refusal(call("WeighParcel", request_id=key, how="refuse"))
    assert refused.reason == "VERIFICATION_NOT_READY"
    await call("NudgeParcel", request_id=new_key())
    assert (await call("WeighParcel", request_id=key, how="refuse"))["times"] == 1


async def test_the_same_update_twice_at_once_is_done_once(surface: Surface) -> None:
    call = await surface.begin()
    key = new_key()
    weighing = [
        asyncio.create_task(call("WeighParcel", request_id=key, how="hold")) for _ in range(4)
    ]

    async def weighed() -> bool:
        return bool((await call("AskParcel")).get("weighed") == 1)

    await eventually(weighed)
    await require_reused(call("WeighParcel", request_id=key), "how")
    await call("NudgeParcel", request_id=new_key())
    assert await asyncio.gather(*weighing) == [{"times": 1}] * 4
    assert await weighed()


async def test_a_signal_is_answered_once_accepted_and_done_once(surface: Surface) -> None:
    call = await surface.begin()
    key = new_key()
    # Its handler waits for the signature: nobody else does.
    assert [await call("NudgeParcel", request_id=key, note="hold") for _ in range(2)] == [{}, {}]
    await require_reused(call("NudgeParcel", request_id=key), "note")
    await require_reused(call("WeighParcel", request_id=key), "method")
    assert await call("NudgeParcel", request_id=new_key(), note="fail") == {}
    refused = await refusal(call("NudgeParcel", request_id=new_key(), note="refuse"))
    assert refused.message == "It cannot be nudged."
    assert (await call("AskParcel"))["nudges"] == 2
    await call("SignParcel", request_id=new_key(), token="t")


async def test_a_call_answered_before_the_end_is_answered_after_it(surface: Surface) -> None:
    started = await surface.call("SendParcel", plan="wait")
    name = started["name"]
    for method, fields in (
        ("WeighParcel", {"request_id": "weigh"}),
        ("NudgeParcel", {"request_id": "nudge"}),
        ("SignParcel", {"request_id": "sign", "token": "t"}),
    ):
        await surface.call(method, operation=name, **fields)
    await surface.gateway.wait(name)
    assert await surface.call("WeighParcel", operation=name, request_id="weigh") == {"times": 1}
    assert await surface.call("NudgeParcel", operation=name, request_id="nudge") == {}
    for key in ("weigh", "new"):
        refused = await refusal(
            surface.call("WeighParcel", operation=name, request_id=key, how="other")
        )
        assert refused.reason == "OPERATION_DONE"


async def test_a_cancelled_operation_takes_no_new_call_and_answers_the_old(
    surface: Surface,
) -> None:
    name = (await surface.call("SendParcel", plan="blocked once cancelled"))["name"]
    await surface.call("WeighParcel", operation=name, request_id="weigh")
    await surface.gateway.rest("POST", f"/v1/{name}:cancel", {})
    for method in ("WeighParcel", "NudgeParcel"):
        refused = await refusal(surface.call(method, operation=name, request_id=new_key()))
        assert refused.reason == "OPERATION_CANCELLING"
    assert await surface.call("WeighParcel", operation=name, request_id="weigh") == {"times": 1}


async def test_no_call_is_taken_once_its_operations_cancel_is_answered(surface: Surface) -> None:
    """Many at once: some calls then come to the workflow in one task with the cancel."""

    async def cancelled_then_called() -> str:
        name = (await surface.call("SendParcel", request_id=new_key(), plan="wait"))["name"]
        await surface.call("WeighParcel", operation=name, request_id="weigh")
        await surface.gateway.rest("POST", f"/v1/{name}:cancel", {})
        refused = await refusal(surface.call("WeighParcel", operation=name, request_id="late"))
        return refused.reason

    reasons = await asyncio.gather(*[cancelled_then_called() for _ in range(20)])
    assert set(reasons) <= {"OPERATION_CANCELLING", "OPERATION_DONE"}


# Names.


async def test_a_name_of_another_type_finds_nothing(surface: Surface) -> None:
    returned = (await surface.call("ReturnParcel", plan="wait"))["name"]
    sent = (await surface.call("SendParcel", plan="wait"))["name"]
    forged = returned.replace("ReturnParcel", "SendParcel")
    task_of_another = sent.replace("SendParcel", "ReturnParcel")
    gateway = surface.gateway
    about = {"task": "pack", "note": "by hand", "request_id": new_key()}
    calls: list[Awaitable[object]] = [
        surface.call("SignParcel", operation=forged, token="t"),
        surface.call("NudgeParcel", operation=forged),
        surface.call("AskParcel", operation=forged),
        gateway.call(
            "/nexpo.operations.v1.OperationTaskService/MarkOperationTaskDone",
            MarkOperationTaskDoneRequest(operation=task_of_another, **about),
            MarkOperationTaskDoneResponse,
        ),
        gateway.get(forged),
        gateway.wait(forged, seconds=0.1),
        gateway.rest("POST", f"/v1/{forged}:cancel", {}),
        gateway.rest("DELETE", f"/v1/{forged}"),
        gateway.watch(forged).__anext__(),
    ]
    for call in calls:
        assert (await refusal(call)).reason == "OPERATION_NOT_FOUND"
    assert not (await gateway.get(sent)).done


# Any sequence.

_CONTENTS = [
    *(("WeighParcel", {"how": how}) for how in ("", "fail", "refuse")),
    *(("WeighParcel", {"secret": secret}) for secret in ("a", "b")),
    *(("NudgeParcel", {"note": note}) for note in ("", "twice")),
]


@pytest.mark.parametrize("seed", range(3))
async def test_one_key_is_one_effect_and_one_answer_in_any_sequence(
    surface: Surface, seed: int
) -> None:
    chance = random.Random(f"{surface.name} {seed}")
    call = await surface.begin()
    outcomes: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))

    async def make(key: str, content: int) -> None:
        method, fields = _CONTENTS[content]
        try:
            outcome = repr(await call(method, request_id=key, **fields))
        except Refused as refused:
            outcome = repr((refused.reason, refused.message, refused.fields))
        outcomes[key][content].add(outcome)

    for _ in range(12):
        await asyncio.gather(
            *(
                make(f"k{chance.randrange(4)}", chance.randrange(len(_CONTENTS)))
                for _ in range(chance.randint(1, 4))
            )
        )
    bound = [taken for key in outcomes for taken in [_bound(outcomes[key])] if taken is not None]
    asked = await call("AskParcel")
    methods = [_CONTENTS[content][0] for content in bound]
    assert asked.get("weighed", 0) == methods.count("WeighParcel")
    assert asked.get("nudges", 0) == methods.count("NudgeParcel")


def _bound(outcomes: dict[int, set[str]]) -> int | None:
    """The call that a key stood for: all others were refused, and it had one answer."""
    unbound = {"VERIFICATION_NOT_READY", "REQUEST_ID_REUSED"}
    answered = {
        content: {text for text in texts if not any(reason in text for reason in unbound)}
        for content, texts in outcomes.items()
    }
    taken = [content for content, texts in answered.items() if texts]
    assert len(taken) <= 1, outcomes
    for content in taken:
        assert len(answered[content]) == 1, outcomes
        assert not any("REQUEST_ID_REUSED" in text for text in outcomes[content]), outcomes
    return taken[0] if taken else None
