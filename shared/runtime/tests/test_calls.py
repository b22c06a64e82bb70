"""The table of an operation's calls: what it keeps, what it forgets, and that it can be carried."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.bound_calls_pb2 import BoundCalls
from nexpo.operations.v1.operations_pb2 import (
    MarkOperationTaskDoneRequest,
    MarkOperationTaskDoneResponse,
    RetryOperationTaskRequest,
)
from nexpo.users.v1.users_pb2 import OnboardUserRequest
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.fingerprint import SCOPE, differences, fingerprint
from nexpo_runtime.workflow import call_table
from nexpo_runtime.workflow.call_table import CallTable, answer_of

DONE = "nexpo.operations.v1.MarkOperationTaskDone"


def request(key: str, note: str = "by hand") -> MarkOperationTaskDoneRequest:
    return MarkOperationTaskDoneRequest(operation="o", task="t", note=note, request_id=key)


def answered(table: CallTable, key: str, message: str = "") -> None:
    answer = MarkOperationTaskDoneResponse()
    answer.progress.message = message or key
    table.settle(table.bind(DONE, request(key)), answer)


def test_a_table_that_is_carried_on_answers_as_before() -> None:
    table = CallTable()
    answered(table, "right")
    fault = Fault(
        Reason.REASON_TOKEN_WRONG,
        "No.",
        fields=[FieldViolation("note", "is wrong")],
        retry_after=timedelta(seconds=3),
        metadata={"left": "4"},
    )
    table.settle(table.bind(DONE, request("wrong")), fault)
    carried = CallTable(BoundCalls.FromString(table.state.SerializeToString()))
    right, wrong = (carried.find(DONE, request(key)) for key in ("right", "wrong"))
    assert right is not None
    assert wrong is not None
    assert answer_of(right, MarkOperationTaskDoneResponse).progress.message == "right"
    with pytest.raises(Fault) as failed:
        answer_of(wrong, MarkOperationTaskDoneResponse)
    assert failed.value.to_status() == fault.to_status()
    with pytest.raises(Fault, match="note"):
        carried.find(DONE, request("right", note="another"))
    with pytest.raises(Fault, match="another method"):
        carried.find("a.v1.Other", RetryOperationTaskRequest(request_id="right"))


def test_the_oldest_calls_are_forgotten_and_those_that_run_are_not() -> None:
    table = CallTable()
    table.bind(DONE, request("runs"))
    for number in range(call_table.MOST_CALLS + 5):
        answered(table, f"k{number}")
    assert len(table.state.calls) == call_table.MOST_CALLS
    assert table.find(DONE, request("runs")) is not None
    assert table.find(DONE, request("k5")) is None
    assert table.find(DONE, request("k6")) is not None


def test_a_table_fits_into_one_payload_whatever_the_answers() -> None:
    table = CallTable()
    for number in range(30):
        answered(table, f"k{number}", "x" * 100_000)
    assert 900_000 < table.state.ByteSize() <= call_table.MOST_BYTES + 1_000
    assert table.find(DONE, request("k29")) is not None
    answered(table, "huge", "x" * (call_table.MOST_BYTES + 1))
    assert [call.request_id for call in table.state.calls] == ["huge"]


def test_a_table_that_is_carried_on_fits_into_one_payload_again() -> None:
    table = CallTable()
    for number in range(9):
        answered(table, f"k{number}", "x" * 100_000)
    carried = CallTable(table.state)
    for number in range(9, 18):
        answered(carried, f"k{number}", "x" * 100_000)
    assert 900_000 < carried.state.ByteSize() <= call_table.MOST_BYTES + 1_000
    assert carried.find(DONE, request("k0")) is None
    assert carried.find(DONE, request("k17")) is not None


def test_a_call_without_a_key_is_not_kept() -> None:
    table = CallTable()
    answered(table, "")
    assert not table.state.calls


def test_a_fingerprint_tells_what_differs_by_the_fields_of_the_contract() -> None:
    one = OnboardUserRequest(email="a@b.example", display_name="Ada", request_id="one")
    other = OnboardUserRequest(email="c@d.example", display_name="Ada", request_id="other")
    other.profile.attributes.update({"colour": "red"})
    assert differences(fingerprint(one, SCOPE), fingerprint(other, SCOPE)) == ["email", "profile"]
    one.profile.attributes.update({"colour": "blue"})
    assert differences(fingerprint(one), fingerprint(other)) == [
        "email",
        "profile.attributes",
        "request_id",
    ]


def test_an_empty_message_differs_from_none_and_a_default_from_nothing() -> None:
    one, other = OnboardUserRequest(), OnboardUserRequest(email="")
    assert fingerprint(one) == fingerprint(other)
    other.profile.SetInParent()
    assert differences(fingerprint(one), fingerprint(other)) == ["profile"]
    one.profile.SetInParent()
    one.verify_within.SetInParent()
    assert differences(fingerprint(one), fingerprint(other)) == ["verify_within"]


def test_the_order_of_a_map_is_no_content() -> None:
    one, other = OnboardUserRequest(), OnboardUserRequest()
    for name in "abcdefgh":
        one.profile.attributes.update({name: {"x": 1, "y": 2}})
    for name in "hgfedcba":
        other.profile.attributes.update({name: {"y": 2, "x": 1}})
    assert fingerprint(one) == fingerprint(other)
