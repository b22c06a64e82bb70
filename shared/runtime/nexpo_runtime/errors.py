"""Faults: the errors of the catalogue, from the activity to every surface."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from nexpo.errors.v1 import errors_pb2
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.registry import PROTOCOL

INTERNAL_MESSAGE = "Something went wrong inside Nexpo."
_PREFIX = "REASON_"

DetailT = TypeVar("DetailT", bound=Message)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue says of a reason."""

    code: int
    retryable: bool
    hint: str


def _read_catalogue() -> dict[int, Entry]:
    entries: dict[int, Entry] = {}
    for value in errors_pb2.DESCRIPTOR.enum_types_by_name["Reason"].values:
        if value.number:
            option = value.GetOptions().Extensions[errors_pb2.entry]
            entries[value.number] = Entry(
                code_pb2.Code.Value(option.code), option.retryable, option.hint
            )
    return entries


CATALOGUE: Mapping[int, Entry] = _read_catalogue()


def reason_name(reason: Reason.ValueType) -> str:
    """EMAIL_TAKEN for REASON_EMAIL_TAKEN: what travels in ErrorInfo and in failures."""
    return Reason.Name(reason).removeprefix(_PREFIX)


def reason_value(name: str) -> Reason.ValueType:
    """The reverse of reason_name; INTERNAL for what is not in the catalogue."""
    return _BY_NAME.get(name, Reason.REASON_INTERNAL)


_BY_NAME = {reason_name(reason): reason for reason in Reason.values() if reason in CATALOGUE}


class ContractError(TypeError):
    """Code that does not fit the contract, or its own runtime: a mistake of an author.

    Raised at import, at start, or when a saga's step is made. Its text is for
    authors, names the mend, and holds nothing of a request.
    """


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field, by its path in the request: "profile.locale"."""

    field: str
    description: str


@dataclass(eq=False)
class Fault(Exception):
    """An error of the catalogue. Its text is for users: nothing internal in it.

    Attributes:
        reason: Why.
        message: One sentence for a person.
        fields: What is wrong with which field.
        retry_after: When to try again, if that is known.
        metadata: More facts for programs: small, clear text, no personal data.
        attempt: Number of the attempt that failed, where known.
    """

    reason: Reason.ValueType
    message: str = ""
    fields: Sequence[FieldViolation] = ()
    retry_after: timedelta | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    attempt: int = 0

    def __post_init__(self) -> None:
        self.message = self.message or self.name.replace("_", " ").capitalize() + "."
        Exception.__init__(self, self.message)

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"

    @property
    def name(self) -> str:
        """The reason's name, such as EMAIL_TAKEN."""
        return reason_name(self.reason)

    @property
    def entry(self) -> Entry:
        """What the catalogue says of the reason."""
        return CATALOGUE[self.reason]

    def to_status(self) -> status_pb2.Status:
        """google.rpc.Status with ErrorInfo and, where they apply, BadRequest and RetryInfo."""
        info = error_details_pb2.ErrorInfo(
            reason=self.name,
            domain=PROTOCOL.error_domain,
            metadata={**self.metadata, "hint": self.entry.hint},
        )
        details: list[Message] = [info]
        if self.fields:
            details.append(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field=violation.field, description=violation.description
                        )
                        for violation in self.fields
                    ]
                )
            )
        if self.retry_after is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromTimedelta(self.retry_after)
            details.append(retry)
        return status_pb2.Status(
            code=self.entry.code, message=self.message, details=[_packed(d) for d in details]
        )

    @classmethod
    def from_status(cls, status: status_pb2.Status) -> Fault:
        """The reverse of to_status; `internal` when it holds no reason of the catalogue."""
        infos = _details(status, error_details_pb2.ErrorInfo)
        info = next((info for info in infos if info.domain == PROTOCOL.error_domain), None)
        if info is None or info.reason not in _BY_NAME:
            return internal()
        bad = _details(status, error_details_pb2.BadRequest)
        retries = _details(status, error_details_pb2.RetryInfo)
        return cls(
            _BY_NAME[info.reason],
            status.message,
            fields=[
                FieldViolation(v.field, v.description) for b in bad for v in b.field_violations
            ],
            retry_after=retries[0].retry_delay.ToTimedelta() if retries else None,
            metadata={k: v for k, v in sorted(info.metadata.items()) if k != "hint"},
        )


def internal() -> Fault:
    """What everything becomes that is not of the catalogue: its own text stays inside."""
    return Fault(Reason.REASON_INTERNAL, INTERNAL_MESSAGE)


def grpc_code(code: int) -> grpc.StatusCode:
    """The grpc.StatusCode of a google.rpc.Code number."""
    return _GRPC_CODES[code]


_GRPC_CODES = {status.value[0]: status for status in grpc.StatusCode}


def _details(status: status_pb2.Status, kind: type[DetailT]) -> list[DetailT]:
    """The status's details of a kind; what claims to be one and is not is left out."""
    found = []
    for packed in status.details:
        detail = kind()
        with contextlib.suppress(DecodeError):
            if packed.Unpack(detail):
                found.append(detail)
    return found


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed
