"""The contract as the plugin sees it: plain values, read once from the descriptors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["missing", "start", "update", "signal", "query", "read", "activity", "native"]
Shape = Literal["one", "many", "map"]

GATEWAY = "nexpo-gateway"
"""The queue of the service that implements native methods."""
LONG_RUNNING = "google.longrunning.Operation"
PROGRESS = "nexpo.operations.v1.Progress"
PUBLIC = "PUBLIC"
ANY_OPERATION = "*"


def snake_case(name: str) -> str:
    """on_board_user for OnBoardUser, get_http_page for GetHTTPPage."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in the contract's source; lines count from 1, 0 is unknown."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the contract must not say: where, about what, and what to do."""

    place: Place
    subject: str
    advice: str

    def __str__(self) -> str:
        return f"{self.place}: {self.subject}: {self.advice}"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    Attributes:
        name: Its name in the proto.
        scalar: "string", "int32", ... or "message" or "enum".
        type_name: Full name of its message or enum, else "".
        shape: Single, repeated or map.
        presence: Whether "not set" differs from the zero value.
        sensitive: "", "REDACT", "HASH" or "DIGEST".
        protected_as: Name of the field that takes the protected value, or "".
        search_attribute: Name of the search attribute, or "".
        multiline: Whether the text may have line breaks.
        rules: Its buf.validate rules in text format, or "".
        comment: What the proto says of it.
        place: Where it stands.
    """

    name: str
    scalar: str
    type_name: str
    shape: Shape
    presence: bool
    sensitive: str
    protected_as: str
    search_attribute: str
    multiline: bool
    rules: str
    comment: str
    place: Place


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its full name, the file it is in, and its fields by name."""

    full_name: str
    package: str
    file: str
    fields: dict[str, Field]
    comment: str

    @property
    def local_name(self) -> str:
        """The name within the package: User, or Progress.Step."""
        return self.full_name[len(self.package) + 1 :] if self.package else self.full_name

    def unprotected(self, field: Field) -> str:
        """Name of the field whose protected value `field` takes, or ""."""
        takers = (one.name for one in self.fields.values() if one.protected_as == field.name)
        return next(takers, "")


@dataclass(frozen=True, slots=True)
class EnumValue:
    """A value of an enum.

    Attributes:
        section: The comment that stands alone above it, or "".
        entry: Of a reason of the error catalogue: code, retryable, hint.
    """

    name: str
    number: int
    comment: str
    section: str
    entry: tuple[str, bool, str] | None
    place: Place


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum and its values in the order of the proto."""

    full_name: str
    package: str
    file: str
    values: tuple[EnumValue, ...]
    comment: str

    @property
    def local_name(self) -> str:
        """The name within the package: Store, or User.State."""
        return self.full_name[len(self.package) + 1 :] if self.package else self.full_name


@dataclass(frozen=True, slots=True)
class Rule:
    """The method option `rule`, flat: what does not apply to the kind is empty.

    Durations are microseconds; 0 stands for "not set".
    """

    kind: Kind
    id: str = ""
    queue: str = ""
    of: str = ""
    worker: str = ""
    deadline: int = 0
    endless: bool = False
    call_timeout: int = 0
    sla: int = 0
    needs_temporal: bool = False
    start_to_close: int = 0
    heartbeat: int = 0
    retry: str = "STANDARD"

    @property
    def template_fields(self) -> list[str]:
        """The field paths in the id template, in order."""
        return re.findall(r"\{([^{}]*)\}", self.id)


@dataclass(frozen=True, slots=True)
class Method:
    """An RPC.

    Attributes:
        name: Name in its service.
        rpc: Full name, package and RPC: nexpo.users.v1.OnboardUser.
        service: Full name of its service.
        rule: What a call does; of kind "missing" when the proto does not say.
        permission: Permission of the caller, PUBLIC, or "".
        max_request_bytes: Bytes of a request; 0 where the method does not say.
        http: Verbs and paths, the main one first.
        bodies: Of each of them the field that the body is, "*" for all, "" for none.
        response_type: Full name of an operation's result, or "".
        metadata_type: Full name of an operation's metadata, or "".
    """

    name: str
    rpc: str
    service: str
    request: Message
    response: Message
    streaming: bool
    rule: Rule
    permission: str
    max_request_bytes: int
    http: tuple[tuple[str, str], ...]
    bodies: tuple[str, ...]
    response_type: str
    metadata_type: str
    comment: str
    place: Place

    @property
    def snake(self) -> str:
        """The name of its Python method."""
        return snake_case(self.name)


@dataclass(frozen=True, slots=True)
class Service:
    """A service; `queue` is set when its methods are activities."""

    name: str
    full_name: str
    queue: str
    methods: tuple[Method, ...]
    comment: str
    place: Place

    def of_kind(self, *kinds: Kind) -> list[Method]:
        """Its methods of these kinds, in the order of the proto."""
        return [m for m in self.methods if m.rule.kind in kinds]

    def handlers_of(self, start: Method) -> list[Method]:
        """The updates, signals and queries of the operation that `start` begins."""
        methods = self.of_kind("update", "signal", "query")
        return [m for m in methods if m.rule.of == start.name]


@dataclass(frozen=True, slots=True)
class File:
    """A proto file."""

    name: str
    package: str
    services: tuple[Service, ...]
    comment: str

    @property
    def stem(self) -> str:
        """The path without ".proto": nexpo/users/v1/users."""
        return self.name.removesuffix(".proto")


@dataclass(frozen=True, slots=True)
class Queue:
    """A task queue that a file declares: its name, and where."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Contract:
    """All files, the imported ones too.

    Attributes:
        files: The files to generate, in the order of their names.
        messages: Every known message by its full name.
        enums: Every known enum by its full name.
        queues: Every declared task queue, in the order of the files.
        limits: What every request may hold, by the names of ContentLimits.
        reserved: The search attributes that the runtime itself sets.
    """

    files: tuple[File, ...]
    messages: dict[str, Message]
    enums: dict[str, Enum]
    queues: tuple[Queue, ...]
    limits: dict[str, int]
    reserved: frozenset[str]

    def services(self) -> Iterator[Service]:
        """Every service of the files to generate."""
        for file in self.files:
            yield from file.services

    def result_of(self, start: Method) -> Message:
        """The message that the operation of a start RPC ends with; checked to exist."""
        return self.messages[start.response_type]

    def path(self, message: Message, path: str) -> list[Field] | None:
        """The fields along a dotted path: "profile.plan"; None when one does not exist."""
        fields: list[Field] = []
        within: Message | None = message
        for name in path.split("."):
            field = within.fields.get(name) if within else None
            if field is None:
                return None
            fields.append(field)
            within = self.messages.get(field.type_name)
        return fields
