"""Whatever strangers send, to every RPC: refused by a field, or carried. Never INTERNAL."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_gateway.contract import Rpc
from nexpo_gateway.http.json_requests import to_message
from nexpo_gateway.http.json_text import read_json
from nexpo_gateway.surfaces.grpc import parsed
from nexpo_runtime.errors import Fault

from . import hostile
from .edge import CONTRACT, Edge

REFUSALS = (
    Reason.REASON_INVALID_ARGUMENT,
    Reason.REASON_MESSAGE_TOO_LARGE,
    Reason.REASON_INVALID_PAGE_TOKEN,
)
NOTHING_THERE = Reason.REASON_OPERATION_NOT_FOUND
MANY = settings(
    max_examples=50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def edge() -> Edge:
    return Edge.make()


def judged(outcome: Message | Fault) -> None:
    """Fails unless the answer is one that a caller can do something with."""
    if not isinstance(outcome, Fault):
        return
    assert outcome.reason in (*REFUSALS, NOTHING_THERE), str(outcome)
    if outcome.reason in REFUSALS:
        # What is not read to its end is refused as a whole.
        whole = any(word in outcome.message for word in ("JSON", "names and items"))
        assert outcome.fields or whole, str(outcome)
        assert 0 <= len(outcome.fields) <= 20
        for violation in outcome.fields:
            assert (violation.field + violation.description).isprintable(), violation


@pytest.mark.parametrize("rpc", CONTRACT.rpcs, ids=lambda rpc: rpc.name)
@MANY
@given(data=st.data())
def test_a_good_request_is_carried(
    rpc: Rpc, data: st.DataObject, runner: asyncio.Runner, edge: Edge
) -> None:
    request = hostile.request(rpc, data.draw)
    outcome = runner.run(edge.call(rpc, lambda: parsed(rpc, request.SerializeToString())))
    judged(outcome)


@pytest.mark.parametrize("rpc", CONTRACT.rpcs, ids=lambda rpc: rpc.name)
def test_every_hostile_value_in_every_field(rpc: Rpc, runner: asyncio.Runner, edge: Edge) -> None:
    for label, request in hostile.sweep(rpc):
        with _about(label):
            judged(runner.run(edge.call(rpc, functools.partial(parsed, rpc, request))))
    for label, body in hostile.sweep_json(rpc):
        with _about(label):
            judged(runner.run(edge.call(rpc, _reads(rpc, body))))


@pytest.mark.parametrize("rpc", CONTRACT.rpcs, ids=lambda rpc: rpc.name)
@MANY
@given(data=st.data())
def test_over_grpc(rpc: Rpc, data: st.DataObject, runner: asyncio.Runner, edge: Edge) -> None:
    request = hostile.spoilt(rpc, data.draw).SerializeToString()
    judged(runner.run(edge.call(rpc, lambda: parsed(rpc, request))))


@pytest.mark.parametrize("rpc", CONTRACT.rpcs, ids=lambda rpc: rpc.name)
@MANY
@given(data=st.data())
def test_over_rest(rpc: Rpc, data: st.DataObject, runner: asyncio.Runner, edge: Edge) -> None:
    body = hostile.spoilt_json(rpc, data.draw)
    judged(runner.run(edge.call(rpc, _reads(rpc, body))))


@contextlib.contextmanager
def _about(label: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(label)
        raise


def _reads(rpc: Rpc, body: bytes) -> Callable[[], Message]:
    def read() -> Message:
        content = read_json(body)
        assert isinstance(content, dict)
        return to_message(content, rpc.request)

    return read
