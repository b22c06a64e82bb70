"""The worst that a request of the largest size can hold, for each surface.

Each makes something expensive that is made of the caller's bytes: a list of
what to send and nothing else, so that the next kind is one line.
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from google.longrunning import operations_pb2 as longrunning
from google.protobuf.field_mask_pb2 import FieldMask

from nexpo.users.v1.users_pb2 import OnboardUserRequest, UpdateUserRequest
from nexpo_gateway.content.elements import MOST_ELEMENTS
from nexpo_gateway.content.sizes import MESSAGE_LIMIT

from .parcels.contract import message

ONBOARD = ("POST", "/v1/users:onboard")
SEND = ("POST", "/v1/parcels:send")
UPDATE = ("PATCH", f"/v1/users/{uuid.UUID(int=7)}")
VERIFY = ("POST", "/v1/operations/acme~a~b~c:verifyEmail")


@dataclass(frozen=True)
class Http:
    """An HTTP request."""

    kind: str
    method: tuple[str, str] = ONBOARD
    body: bytes | None = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    accepted: bool = False


@dataclass(frozen=True)
class Grpc:
    """A gRPC request."""

    kind: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    accepted: bool = False


def full(begin: str, piece: Callable[[int], str], end: str, room: int = MESSAGE_LIMIT) -> bytes:
    """As many pieces, separated by commas, as the limit has room for."""
    left = room - len(begin) - len(end)
    pieces: list[str] = []
    for number in count():
        text = piece(number)
        left -= len(text) + 1
        if left < 0:
            return (begin + ",".join(pieces) + end).encode()
        pieces.append(text)
    raise AssertionError("unreachable")


def some(
    begin: str, piece: Callable[[int], str], end: str, pieces: int = MOST_ELEMENTS - 9
) -> bytes:
    """As many pieces as a request may have elements, the last of them as long as there is room."""
    return (begin + ",".join(piece(number) for number in range(pieces)) + end).encode()


def fill(begin: str, piece: str, end: str = "") -> bytes:
    """One piece again and again, up to the limit."""
    times = (MESSAGE_LIMIT - len(begin.encode()) - len(end.encode())) // len(piece.encode())
    return (begin + piece * times + end).encode()


def _in_attributes(build: Callable[..., bytes], piece: Callable[[int], str]) -> bytes:
    return build('{"profile":{"attributes":{', piece, "}}}")


HEAD = 30_000
ACUTES = "\u0315\u0300"
HTTP = [
    Http("one name again and again", body=full("{", lambda n: '"a":1', "}")),
    Http("one name again, last", body=some("{", lambda n: f'"{n % 4000}":1', "}")),
    Http("the last name twice", body=some("{", lambda n: f'"{min(n, 4989)}":1', "}")),
    Http("unknown names, many", body=full("{", lambda n: f'"n{n}":1', "}")),
    Http("unknown names, long", body=some("{", lambda n: f'"{n:0190}":1', "}")),
    Http("attributes, many", body=_in_attributes(full, lambda n: f'"{n}":1')),
    Http("attributes, as many as may be", body=_in_attributes(some, lambda n: f'"{n}":"{n:0170}"')),
    Http("attributes of empty objects", body=_in_attributes(some, lambda n: f'"{n}":{{}}', )),
    Http("attributes of long numbers", body=_in_attributes(full, lambda n: f'"{n}":{"9" * 390}')),
    Http("deep objects", body=fill('{"profile":', '{"attributes":')),
    Http("deep lists", body=fill('{"profile":{"attributes":{"a":', "[")),
    Http("deep and wide", body=fill('{"profile":{"attributes":{"a":' + "[" * 50, "[],", "[]")),
    Http("empty lists side by side", body=fill("", "[]")),
    Http("empty objects in a list", body=full('{"profile":[', lambda n: "{}", "]}")),
    Http("quotes", body=fill("", '"')),
    Http("escaped quotes", body=fill('{"email":"', '\\"', '"}')),
    Http("an open text of escaped quotes", body=fill('{"email":"', '\\"')),
    Http("backslashes", body=fill('{"email":"', "\\\\", '"}')),
    Http("escapes", body=fill('{"email":"', "\\u00e9", '"}')),
    Http("half escapes", body=fill('{"email":"', "\\ud800", '"}')),
    Http("spaces", body=fill("{", " ", "}")),
    Http("commas", body=fill('{"databases":[', ",", "]}")),
    Http("letters that are no JSON", body=fill("", "x")),
    Http("no UTF-8 at the end", body=fill('{"email":"', "é") + b'\xff"}'),
    Http("a whole number of a million digits", body=fill('{"verifyWithin":', "9", "}")),
    Http("a fraction of a million digits", body=fill('{"verifyWithin":0.', "9", "}")),
    Http("a list of long numbers", body=full('{"databases":[', lambda n: "9" * 390, "]}")),
    Http("names that are none, many", body=full('{"databases":[', lambda n: '"x"', "]}")),
    Http("long names that are none", body=some('{"databases":[', lambda n: f'"{n:0200}"', "]}")),
    Http("numbers for names", body=some('{"databases":[', lambda n: str(n + 9), "]}")),
    Http("one name again and again", body=some('{"databases":[', lambda n: '"databases/a"', "]}")),
    Http("an address of accents", body=fill('{"email":"a', ACUTES, '@b.example"}')),
    Http("an address of labels", body=fill('{"email":"a@', "ü.", 'example"}')),
    Http("long texts everywhere", body=json.dumps(
        dict.fromkeys(("email", "displayName", "password", "requestId"), "x" * 200_000)).encode()),
    Http("a duration of a million digits", body=fill('{"verifyWithin":"', "9", 's"}')),
    Http("a mask of many names", UPDATE, fill('{"updateMask":"', "a,", 'a"}')),
    Http("masks of upper case", UPDATE, fill('{"updateMask":"', "A", '"}')),
    Http("stops that are wrong", SEND, some('{"stops":[', lambda n: '{"city":1}', "]}", 2400)),
    Http("stops with a wrong street", SEND, some(
        '{"stops":[', lambda n: f'{{"street":"{n:0200}"}}', "]}", 2400)),
    Http("an address's name of dots", VERIFY, fill('{"token":"', ".", '"}')),
    Http("the largest note", SEND, fill('{"note":"', "é", '"}')),
    Http("chunks of one byte", SEND, b"1\r\n \r\n" * 40_000 + b"2\r\n{}\r\n0\r\n\r\n",
         {"transfer-encoding": "chunked"}, accepted=True),
    Http("a form of fields", ("POST", "/verify"), fill("", "a=b&")),
    Http("a GET with a body", ("GET", "/v1/operations"), fill("", "{}")),
    Http("many headers", headers={f"a{n}": "" for n in range(HEAD // 9)}),
    Http("a wish of spaces", headers={"prefer": "wait" + " " * HEAD}),
    Http("a wish of waits", headers={"prefer": "wait wait=1 " * (HEAD // 12)}),
    Http("a trace of spaces", headers={"traceparent": " " * HEAD}),
    Http("a trace state of members", headers={
        "traceparent": f"00-{'1' * 32}-{'1' * 16}-01", "tracestate": "a=b," * (HEAD // 4)}),
    Http("a path of colons", ("GET", "/v1/" + ":a" * (HEAD // 2)), None),
    Http("a path of segments", ("GET", "/v1/shelves/" + "a/" * (HEAD // 2)), None),
    Http("a name of parts", ("GET", "/v1/operations/" + "a~" * (HEAD // 2) + "a"), None),
    Http("a query of fields", ("GET", "/v1/operations?" + "a&" * (HEAD // 2)), None),
    Http("a query of dots", ("GET", "/v1/operations?" + "a." * (HEAD // 2)), None),
    Http("a query of escapes", ("GET", "/v1/operations?filter=" + "%20" * (HEAD // 3)), None),
    Http("a filter of terms", (
        "GET", "/v1/operations?filter=" + "state=RUNNING%20AND%20" * (HEAD // 24)), None),
    Http("a verify link of fields", ("GET", "/verify?" + "a&" * (HEAD // 2)), None),
]  # fmt: skip

USERS = "/nexpo.users.v1.UserService/"
PARCELS = "/nexpo.parcels.v1.ParcelService/"
OPERATIONS = "/nexpo.operations.v1.OperationService/"


def wire(piece: bytes, tags: bytes = b"") -> bytes:
    """Length-delimited fields around so many pieces as there is room for."""
    content = piece * ((MESSAGE_LIMIT - 64) // len(piece))
    for tag in reversed(tags):
        content = bytes([tag]) + varint(len(content)) + content
    return content


def varint(number: int) -> bytes:
    """As protobuf has it."""
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def entries(number: int) -> bytes:
    """A Struct's entries with names of their own and numbers."""
    return b"".join(
        b"\x0a\x13\x0a\x06%06d\x12\x09\x11" % n + struct.pack("<d", n) for n in range(number)
    )


def deep() -> bytes:
    """Lists in each other, up to the limit."""
    content = b""
    while len(content) < MESSAGE_LIMIT - 64:
        for tag in (0x0A, 0x32) * 50:
            content = bytes([tag]) + varint(len(content)) + content
    return content


def attributes(content: bytes) -> bytes:
    """An OnboardUserRequest with these bytes as profile.attributes."""
    inner = b"\x22" + varint(len(content)) + content
    return b"\x2a" + varint(len(inner)) + inner


def named(name: str) -> bytes:
    """A request for an operation."""
    return longrunning.GetOperationRequest(name=name).SerializeToString()


def listing(**fields: str) -> bytes:
    """A request for a list of operations."""
    return longrunning.ListOperationsRequest(**fields).SerializeToString()  # type: ignore[arg-type]


def masked(paths: list[str]) -> bytes:
    """An update with this mask."""
    mask = FieldMask(paths=paths)
    return UpdateUserRequest(user_id=str(uuid.UUID(int=7)), update_mask=mask).SerializeToString()


def onboarding(**fields: str) -> bytes:
    """An onboarding with these fields."""
    return OnboardUserRequest(**fields).SerializeToString()  # type: ignore[arg-type]


ROOM = MESSAGE_LIMIT - 64
GRPC = [
    Grpc("attributes, many", USERS + "OnboardUser", attributes(entries(ROOM // 21))),
    Grpc("attributes, as many as may be", USERS + "OnboardUser", attributes(entries(4900))),
    Grpc("one attribute again and again", USERS + "OnboardUser", attributes(wire(b"\x0a\x00"))),
    Grpc("deep attributes", USERS + "OnboardUser", attributes(deep())),
    Grpc("profiles to merge", USERS + "OnboardUser", wire(b"\x2a\x02\x22\x00")),
    Grpc("unknown fields", USERS + "OnboardUser", wire(b"\x98\x75\x01")),
    Grpc("unknown groups", USERS + "OnboardUser", wire(b"\x9b\x75\x9c\x75")),
    Grpc("names, many", USERS + "OnboardUser", wire(b"\x22\x01x")),
    Grpc("names that are none", USERS + "OnboardUser", b"\x22\x01x" * 4900),
    Grpc("one name again and again", USERS + "OnboardUser", b"\x22\x0bdatabases/a" * 4900),
    Grpc("violations, hundreds", USERS + "OnboardUser", b"\x22\x01x" * 900),
    Grpc("an address of accents", USERS + "OnboardUser", onboarding(email="a" + ACUTES * 250_000)),
    Grpc("an address of labels", USERS + "OnboardUser", onboarding(email="a@" + "ü." * 340_000)),
    Grpc("long texts", USERS + "OnboardUser", onboarding(
        **dict.fromkeys(("email", "display_name", "password", "request_id"), "é" * 130_000))),
    Grpc("no message", USERS + "OnboardUser", b"\xff" * ROOM),
    Grpc("a mask of names", USERS + "UpdateUser", masked(["a"] * (ROOM // 4))),
    Grpc("a mask of long names", USERS + "UpdateUser", masked(["a" * 200] * 4900)),
    Grpc("stops, many", PARCELS + "SendParcel", wire(b"\x4a\x00")),
    Grpc("stops with a wrong street", PARCELS + "SendParcel", message(
        "SendParcelRequest", stops=[{"street": "x" * 200}] * 2400).SerializeToString()),
    Grpc("the largest note", PARCELS + "SendParcel", message(
        "SendParcelRequest", note="é" * (ROOM // 2)).SerializeToString()),
    Grpc("a map of places", PARCELS + "FindParcels", b"".join(
        b"\x72\x08\x0a\x06%06d" % n for n in range(ROOM // 10))),
    Grpc("tags", PARCELS + "FindParcels", wire(b"\x52\x00")),
    Grpc("a name of parts", OPERATIONS + "GetOperation", named("operations/" + "a~" * (ROOM // 2))),
    Grpc("a name of escapes", OPERATIONS + "GetOperation", named(
        "operations/a~b~" + "%41" * (ROOM // 3 - 9) + "~c")),
    Grpc("a filter of spaces", OPERATIONS + "ListOperations", listing(filter=" " * ROOM)),
    Grpc("a filter of terms", OPERATIONS + "ListOperations", listing(
        filter="state=RUNNING AND " * (ROOM // 18))),
    Grpc("a filter of one word", OPERATIONS + "ListOperations", listing(filter="a" * ROOM)),
    Grpc("a page token", OPERATIONS + "ListOperations", listing(page_token="A" * ROOM)),
    Grpc("many headers", OPERATIONS + "ListOperations", b"", headers={
        f"a{n}": "b" for n in range(1500)}, accepted=True),
    Grpc("a long header", OPERATIONS + "ListOperations", b"", headers={
        "prefer": "wait" + " " * 60_000}, accepted=True),
    Grpc("an idempotency key", PARCELS + "SendParcel", b"", headers={
        "idempotency-key": "a" * 64_000}),
]  # fmt: skip
