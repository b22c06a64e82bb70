"""What a server says before it is trusted is read without a surprise."""

from __future__ import annotations

import random
import struct

import pytest

from nexpo_db_worker.engines.sqlserver.prelogin import (
    Kind,
    MalformedError,
    Offer,
    offered,
    packet,
    prelogin,
    read_message,
    route,
)


def moved(host: str, port: int, protocol: int = 0) -> bytes:
    """An ENVCHANGE that sends the client on."""
    place = struct.pack("<BHH", protocol, port, len(host)) + host.encode("utf-16-le")
    body = b"\x14" + struct.pack("<H", len(place)) + place + b"\0\0"
    return struct.pack("<BH", 0xE3, len(body)) + body


def read(data: bytes) -> tuple[int, bytes, bytes]:
    """A message of these bytes; EOFError when they end before it does."""
    at = 0

    def exactly(size: int) -> bytes:
        nonlocal at
        at += size
        if at > len(data):
            raise EOFError
        return data[at - size : at]

    return read_message(exactly)


def test_a_message_without_an_end_is_given_up_when_it_is_larger_than_any() -> None:
    part = packet(Kind.REPLY, b"x" * 30_000).replace(b"\x04\x01", b"\x04\x00", 1)  # more comes
    with pytest.raises(MalformedError):
        read(part * 100)  # 3 MB: read on, it is an EOFError


@pytest.mark.parametrize("offer", list(Offer))
def test_each_offer_is_read_as_it_is_made(offer: Offer) -> None:
    kind, payload, packets = read(packet(Kind.REPLY, prelogin(offer)))
    assert (kind, offered(payload)) == (Kind.REPLY, offer)
    assert packets == packet(Kind.REPLY, prelogin(offer))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"\x01\x00", b"\x01\x00\x06\x00\x01", b"\x01\x00\x06\x00\x00\xff", b"\x00" * 40],
)
def test_a_prelogin_without_a_word_on_encryption_is_none(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        offered(payload)


def test_an_offer_that_nobody_knows_is_none() -> None:
    with pytest.raises(MalformedError):
        offered(prelogin(Offer.ON).replace(bytes([Offer.ON]) + b"\0" * 6, b"\x09" + b"\0" * 6))


def test_a_route_is_found_behind_other_tokens_and_nowhere_else() -> None:
    info = b"\xab" + struct.pack("<H", 3) + b"abc"
    assert route(info + moved("db.example.com", 11003)) == ("db.example.com", 11003)
    assert route(info + b"\xfd" + moved("db.example.com", 11003)) is None, "data, not a token"
    assert route(info) is None


@pytest.mark.parametrize("change", [moved("", 1), moved("pipe", 1, protocol=1), moved("a", 1)[:9]])
def test_a_route_to_nowhere_is_malformed(change: bytes) -> None:
    with pytest.raises(MalformedError):
        route(change)


def test_no_bytes_make_it_raise_anything_else() -> None:
    chance = random.Random(7)
    good = [prelogin(Offer.ON), moved("db.example.com", 11003), packet(Kind.REPLY, b"x" * 30)]
    ends = {MalformedError: 0, EOFError: 0, None: 0}
    for _ in range(5000):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = data[: chance.randrange(1, len(data) + 1)]
        for reader in (offered, route, read):
            try:
                reader(bytes(data))
                ends[None] += 1
            except (MalformedError, EOFError) as error:
                ends[type(error)] += 1
    assert all(ends.values()), ends
