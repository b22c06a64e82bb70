"""What a refused request is told of rules that have no field, or no words of their own."""

from __future__ import annotations

from buf.validate import validate_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from nexpo_gateway.content.validation import check, invalid
from nexpo_runtime.errors import Fault, FieldViolation


def transfer(debit: str, credit: str, message: str) -> Fault | None:
    """How a message is refused whose rule compares two of its fields."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"transfer_{bool(message)}.proto", package=f"words_{bool(message)}".lower()
    )
    file.syntax = "proto3"
    file.dependency.append("buf/validate/validate.proto")
    kind = file.message_type.add(name="TransferRequest")
    for number, name in enumerate(("debit", "credit"), 1):
        kind.field.add(name=name, number=number, type=9, label=1)
    rule = kind.options.Extensions[validate_pb2.message].cel.add(id="transfer.differ")
    rule.message = message
    rule.expression = "this.debit != this.credit"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    cls = message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{file.package}.TransferRequest")
    )
    try:
        check(cls(debit=debit, credit=credit))
    except Fault as fault:
        return fault
    return None


def test_a_rule_over_the_whole_message_is_told_in_its_own_words() -> None:
    fault = transfer("a", "a", "A debit and a credit must differ.")

    assert fault is not None
    assert fault.message == "One problem in the request: A debit and a credit must differ."
    assert fault.fields == [FieldViolation("", "A debit and a credit must differ.")]


def test_a_rule_without_words_is_told_by_its_expression() -> None:
    fault = transfer("a", "a", "")

    assert fault is not None
    assert "this.debit != this.credit" in fault.message


def test_fields_are_named_beside_it() -> None:
    fault = invalid([FieldViolation("amount", "is too small"), FieldViolation("", "No.")])

    assert fault.message == "2 problems in the request: No, amount."
