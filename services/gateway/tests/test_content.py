"""The limits of content, each at its edge: the last that passes and the first that does not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.longrunning.operations_pb2 import WaitOperationRequest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo

from nexpo.operations.v1.operations_pb2 import MarkOperationTaskDoneRequest
from nexpo.users.v1.users_pb2 import GetUserRequest, OnboardUserRequest
from nexpo_gateway.content.elements import has_more_elements
from nexpo_gateway.content.limits import LIMITS, check_content
from nexpo_gateway.content.sizes import json_bytes
from nexpo_gateway.contract import Contract
from nexpo_runtime.errors import Fault

from .parcels.contract import message as parcels


def struct(value: Any) -> Struct:
    made = Struct()
    made.update({"a": value})
    return made


def objects(levels: int) -> Struct:
    made = Struct()
    for _ in range(levels - 1):
        outer = Struct()
        outer.fields["n"].struct_value.CopyFrom(made)
        made = outer
    return made


def lists(levels: int) -> ListValue:
    made = ListValue()
    for _ in range(levels - 1):
        made = ListValue(values=[Value(list_value=made)])
    return made


def recursive(levels: int) -> DescriptorProto:
    made = DescriptorProto()
    for _ in range(levels - 1):
        made = DescriptorProto(nested_type=[made])
    return made


def waiting(seconds: int, nanos: int = 0) -> WaitOperationRequest:
    request = WaitOperationRequest(name="operations/x")
    request.timeout.seconds, request.timeout.nanos = seconds, nanos
    return request


def packed(message: Message) -> AnyMessage:
    made = AnyMessage()
    made.Pack(message)
    return made


LARGEST = LIMITS.largest_whole_number
GOOD = [
    struct("line\nline\ttab"),
    struct(LARGEST),
    struct(-LARGEST),
    struct(5e-324),
    objects(LIMITS.struct_levels),
    lists(LIMITS.struct_levels),
    recursive(LIMITS.message_levels),
    Timestamp(seconds=253_402_300_799, nanos=999_999_999),
    Timestamp(seconds=-62_135_596_800),
    waiting(315_576_000_000),
    waiting(-5, -1),
    FieldMask(paths=["a.b_c", "display_name"]),
    packed(GetUserRequest(user_id="x")),
    MarkOperationTaskDoneRequest(note="two\nlines"),
    ErrorInfo(metadata={"a b": "x"}),
    OnboardUserRequest(display_name="Žofie 😀 \u200f"),
]
BAD: list[tuple[Message, str]] = [
    (struct("a\0"), '["a"]'),
    (struct("\x1b"), '["a"]'),
    (struct("\x85"), '["a"]'),
    (struct(["x", {"b": "\x7f"}]), '["a"][1]["b"]'),
    (Struct(fields={"$a": Value(number_value=1)}), '["$a"]'),
    (Struct(fields={"a\tb": Value(number_value=1)}), '["a\\x09b"]'),
    (Struct(fields={"a": Value()}), '["a"]'),
    (Struct(fields={"a": Value(null_value=5)}), '["a"]'),  # type: ignore[arg-type]  # an open enum
    (struct(LARGEST + 1), '["a"]'),
    (struct(-LARGEST - 1), '["a"]'),
    (struct(1e300), '["a"]'),
    (struct(math.nan), '["a"]'),
    (struct(-math.inf), '["a"]'),
    (objects(LIMITS.struct_levels + 1), '["n"]' * LIMITS.struct_levels),
    (lists(LIMITS.struct_levels + 1), "[0]" * LIMITS.struct_levels),
    (recursive(LIMITS.message_levels + 1), ".".join(["nested_type[0]"] * LIMITS.message_levels)),
    (Timestamp(seconds=253_402_300_800), ""),
    (Timestamp(seconds=-62_135_596_801), ""),
    (Timestamp(nanos=1_000_000_000), ""),
    (Timestamp(nanos=-1), ""),
    (waiting(315_576_000_001), "timeout"),
    (waiting(5, -1), "timeout"),
    (waiting(0, 1_000_000_000), "timeout"),
    (FieldMask(paths=["ok", "notOk"]), ".paths[1]"),
    (packed(struct("\0")), '["a"]'),
    (AnyMessage(type_url="type.googleapis.com/who.knows", value=b""), ""),
    (GetUserRequest(view=99), "view"),  # type: ignore[arg-type]  # an open enum
    (ErrorInfo(metadata={"a\tb": "x"}), 'metadata["a\\x09b"]'),
    (ErrorInfo(metadata={"a": "\0"}), 'metadata["a"]'),
    (OnboardUserRequest(display_name="two\nlines"), "display_name"),
    (OnboardUserRequest(display_name="two\u2029lines"), "display_name"),
]


def refusal(message: Message, most: int = 10**6) -> Fault:
    with pytest.raises(Fault) as refused:
        check_content(message, most)
    return refused.value


@pytest.mark.parametrize("message", GOOD, ids=range(len(GOOD)))
def test_the_last_that_passes(message: Message) -> None:
    check_content(message, 10**6)


@pytest.mark.parametrize(("message", "field"), BAD, ids=range(len(BAD)))
def test_the_first_that_does_not_is_named(message: Message, field: str) -> None:
    fault = refusal(message)
    assert fault.name == "INVALID_ARGUMENT"
    assert [violation.field for violation in fault.fields] == [field[:200]]


def test_the_size_counts_on_the_wire_and_as_json_and_names_what_takes_the_room() -> None:
    request = OnboardUserRequest(display_name="é" * 400)
    request.profile.attributes.update({"a": "é" * 1000})
    size, as_json = request.ByteSize(), json_bytes(request)
    assert size < as_json
    check_content(request, as_json)
    for most in (as_json - 1, size, size - 1):
        fault = refusal(request, most)
        assert fault.name == "MESSAGE_TOO_LARGE"
        assert [violation.field for violation in fault.fields] == ["profile.attributes"]
    request.display_name = "x" * 9000
    assert [violation.field for violation in refusal(request, 8000).fields] == ["display_name"]


def elements(data: Any) -> int:
    """Names and items in JSON, however deep."""
    if not isinstance(data, dict | list):
        return 0
    inner = data.values() if isinstance(data, dict) else data
    return len(data) + sum(elements(one) for one in inner)


@pytest.mark.parametrize(
    "message",
    [
        struct({"a": [1, [2, {"b": None}], "c"]}),
        parcels("FindParcelsRequest", tags=["a", "b"], sizes=[1, 2], depot="d"),
        parcels("FindParcelsRequest", places={"a": {"city": "b", "street": "c"}, "d": {}}),
        parcels("SendParcelRequest", stops=[{"city": "a"}, {}, {"street": "b"}]),
        parcels("SendParcelRequest", address={"city": "a"}, extra={"b": [{"c": 1}, 2]}),
        ErrorInfo(metadata={"a": "b", "c": "d"}),
        recursive(5),
    ],
    ids=range(7),
)
def test_a_message_has_as_many_elements_as_its_json(message: Message) -> None:
    most = elements(MessageToDict(message))
    assert not has_more_elements(message, most)
    assert has_more_elements(message, most - 1)


def test_a_walk_ends_after_twenty_violations() -> None:
    assert len(refusal(struct(["\0"] * 1000)).fields) == 20


def test_zero_has_no_sign() -> None:
    message = struct([-0.0])
    check_content(message, 1000)
    assert message == struct([0.0])


def test_every_method_has_a_size_below_what_temporal_takes_five_times() -> None:
    for rpc in Contract.load().rpcs:
        assert 0 < rpc.max_request_bytes <= LIMITS.largest_request_bytes
    assert 5 * LIMITS.largest_request_bytes < 4_000_000 // 2
