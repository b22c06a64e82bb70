"""Help says what a value must be, in the words of the contract's rules."""

from __future__ import annotations

import itertools

import pytest
from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.protobuf.descriptor import FieldDescriptor

from nexpo_cli.bounds import bounds, requires_value

_NUMBERS = itertools.count()
_TYPES = {
    "string": FieldDescriptor.TYPE_STRING,
    "bytes": FieldDescriptor.TYPE_BYTES,
    "int32": FieldDescriptor.TYPE_INT32,
    "int64": FieldDescriptor.TYPE_INT64,
    "double": FieldDescriptor.TYPE_DOUBLE,
    "duration": FieldDescriptor.TYPE_MESSAGE,
    "enum": FieldDescriptor.TYPE_ENUM,
}


def field(
    kind: str, rules: str, *, optional: bool = False, several: bool = False
) -> FieldDescriptor:
    """A field of this kind with these rules, in the text format of buf.validate."""
    number = next(_NUMBERS)
    file = descriptor_pb2.FileDescriptorProto(
        name=f"bounds_{number}.proto", package=f"bounds_{number}", syntax="proto3"
    )
    file.dependency.extend(["buf/validate/validate.proto", "google/protobuf/duration.proto"])
    file.enum_type.add(name="Choice").value.add(name="CHOICE_UNSPECIFIED", number=0)
    message = file.message_type.add(name="Request")
    made = message.field.add(name="value", number=1, type=_TYPES[kind], label=3 if several else 1)
    if kind == "duration":
        made.type_name = ".google.protobuf.Duration"
    if kind == "enum":
        made.type_name = f".{file.package}.Choice"
    if optional:
        made.proto3_optional, made.oneof_index = True, 0
        message.oneof_decl.add(name="_value")
    text_format.Parse(rules, made.options.Extensions[validate_pb2.field])
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMessageTypeByName(f"{file.package}.Request").fields_by_name["value"]


@pytest.mark.parametrize(
    ("kind", "rules", "said", "required"),
    [
        ("int64", "int64 {gte: 1 lte: 1000000}", ["from 1 to 1000000"], True),
        ("int64", "int64 {gte: 0 lte: 9}", ["from 0 to 9"], False),
        ("int32", "int32 {gt: 0}", ["more than 0"], True),
        ("int32", "int32 {lt: 0}", ["less than 0"], True),
        ("int32", "int32 {lte: 5}", ["at most 5"], False),
        ("int32", "int32 {gt: 9 lt: 1}", ["more than 9", "less than 1"], False),
        ("int32", "int32 {in: [5, 10]}", ["one of 5, 10"], True),
        ("int32", "int32 {not_in: [0]}", [], True),
        ("int32", "int32 {const: 3}", ["exactly 3"], True),
        ("int32", "int32 {gte: 1} ignore: IGNORE_IF_ZERO_VALUE", ["at least 1"], False),
        ("double", "double {gte: 0.5 lt: 2}", ["at least 0.5", "less than 2"], True),
        ("string", "string {min_len: 1 max_len: 64}", ["at most 64 characters"], True),
        ("string", "string {min_len: 8 max_len: 128}", ["from 8 to 128 characters"], True),
        ("string", "string {len: 3}", ["exactly 3 characters"], True),
        ("string", 'string {pattern: "^[A-Z]+$"}', ["like ^[A-Z]+$"], False),
        ("string", "string {email: true}", ["an e-mail address"], True),
        ("string", "string {uuid: true}", ["a UUID"], True),
        ("string", 'string {in: ["a", "b"]}', ["one of a, b"], True),
        ("bytes", "bytes {max_len: 1}", ["at most 1 byte"], False),
        (
            "duration",
            "duration {gte: {seconds: 1} lte: {seconds: 90000}}",
            ["from 1s to 1d1h"],
            False,
        ),
        ("enum", "enum {not_in: [0]}", [], True),
        ("enum", "enum {defined_only: true}", [], False),
        ("string", "required: true", [], True),
        ("string", "", [], False),
    ],
)
def test_a_rule_is_said_in_words(kind: str, rules: str, said: list[str], required: bool) -> None:
    described = field(kind, rules)

    assert bounds(described) == said
    assert requires_value(described) is required


def test_of_a_list_its_length_and_its_items_are_said() -> None:
    described = field(
        "string", "repeated {min_items: 1 max_items: 3 items {string {max_len: 5}}}", several=True
    )

    assert bounds(described) == ["from 1 to 3 of them", "each at most 5 characters"]
    assert requires_value(described)


def test_a_field_that_may_be_left_out_is_not_required_by_its_range() -> None:
    assert not requires_value(field("int32", "int32 {gte: 1}", optional=True))
